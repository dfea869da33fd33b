"""Where the token and the URL come from."""

import pytest

NO_TOKEN = (
    "Error: no token: give one with --token or GATEWAY_TOKEN (@FILE reads it from a file), set GATEWAY_ADMIN_TOKEN, "
    "or run this where `gateway serve` keeps .gateway/admin-token"
)


@pytest.fixture
def sent(cli, control):
    """The token that a command sends."""

    def sent(*arguments, **environ):
        control.answer({"subject": "user:ana@example.com"})
        result = cli("user", "me", *arguments, **environ)
        assert result.exit_code == 0, result.output
        return control.headers[-1]["Authorization"]

    return sent


def test_the_order_of_tokens(sent, tmp_path):
    (tmp_path / ".gateway").mkdir()
    (tmp_path / ".gateway" / "admin-token").write_text("gwa_kept\n")
    environ = {"GATEWAY_TOKEN": "gwp_mine", "GATEWAY_ADMIN_TOKEN": "gwa_set"}

    assert sent("--token", "gwp_given", **environ) == "Bearer gwp_given"
    assert sent(**environ) == "Bearer gwp_mine"
    assert sent(**{**environ, "GATEWAY_TOKEN": None}) == "Bearer gwa_set"
    assert sent(GATEWAY_TOKEN=None) == "Bearer gwa_kept"


def test_the_kept_token_goes_to_no_other_machine(cli, tmp_path):
    """It is the admin's of the gateway here, and nothing to the one over there."""
    (tmp_path / ".gateway").mkdir()
    (tmp_path / ".gateway" / "admin-token").write_text("gwa_kept\n")

    result = cli("user", "me", "--url", "https://gateway.example.com", GATEWAY_TOKEN=None)

    assert result.exit_code == 2
    assert NO_TOKEN in result.output


def test_without_a_gateway_a_token_is_not_what_is_missing(cli, free_port):
    result = cli("token", "list", GATEWAY_TOKEN=None, GATEWAY_URL=f"http://127.0.0.1:{free_port}")

    assert result.stderr == (
        f"Error: no gateway answers at http://127.0.0.1:{free_port} (Connection refused); start one with "
        "`gateway serve` or name it with --url\n"
    )
    assert result.exit_code == 1


def test_a_token_from_a_file(sent, tmp_path):
    """An argument is seen by everybody who is logged in to the machine."""
    (tmp_path / "token").write_text(" gwp_filed \n")

    assert sent("--token", "@token") == "Bearer gwp_filed"
    assert sent(GATEWAY_TOKEN="@token") == "Bearer gwp_filed"


def test_no_token(cli):
    result = cli("user", "me", GATEWAY_TOKEN=None)

    assert result.stderr.splitlines()[-1] == NO_TOKEN
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("@nowhere", "Error: no token: nowhere cannot be read: No such file or directory"),
        ("@empty", "Error: what empty holds is no token"),
        ("@bytes", "Error: no token: bytes cannot be read: it is not text"),
        ("two words", "Error: what --token or $GATEWAY_TOKEN holds is no token"),
        ("clé", "Error: what --token or $GATEWAY_TOKEN holds is no token"),
        ("a\r\nb", "Error: what --token or $GATEWAY_TOKEN holds is no token"),
    ],
)
def test_what_is_no_token(cli, control, tmp_path, given, text):
    (tmp_path / "empty").touch()
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")

    result = cli("user", "me", "--token", given)

    assert result.stderr.splitlines()[-1] == text
    assert result.exit_code == 2
    assert control.requests == []


def test_a_url_that_is_none(cli):
    result = cli("user", "me", "--url", "gateway:8787")

    assert result.stderr.splitlines()[-1] == "Error: Invalid value for '--url': it has to look like http://host:port"
    assert result.exit_code == 2


def test_the_url_of_an_option_comes_first(cli, control):
    control.answer({"subject": "user:ana@example.com"})

    result = cli("user", "me", "--url", control.url, GATEWAY_URL="http://127.0.0.1:1")

    assert result.exit_code == 0
