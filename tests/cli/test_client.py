"""How commands talk to a gateway, and what they say when that does not work."""

import socket
import ssl

import click
import pytest
import trustme

from gateway.cli.address import address_of
from gateway.cli.client import ControlApi, Credential

CREDENTIAL = Credential("gw-canary", "--token")
ME = {"subject": "user:ana@example.com"}


@pytest.fixture
def api(control):
    return ControlApi(address_of(control.url), CREDENTIAL)


@pytest.fixture
def error_of():
    """The text of the error that a call ends with, which never holds the token."""

    def error_of(api, method="GET"):
        with pytest.raises(click.ClickException) as caught:
            api.ask(method, "me", kind=dict)
        assert caught.value.exit_code == 1
        assert "gw-canary" not in caught.value.message
        return caught.value.message.replace(api.url, "URL")

    return error_of


def test_sends_token_and_body(api, control):
    control.answer({"ok": True})

    assert api.ask("PUT", "apply", kind=dict, body={"dryRun": True}) == {"ok": True}

    assert control.requests == [("PUT", "/apply", {"dryRun": True})]
    assert control.headers[0]["Authorization"] == "Bearer gw-canary"
    assert control.headers[0]["Content-Type"] == "application/json"


def test_encodes_paths_and_queries(api, control):
    """A name cannot lead to another route."""
    control.answer({})

    api.ask("GET", "teams", "a/b ?#%é", kind=dict, query={"subject": "user:ana@example.com", "all": None})

    assert control.requests == [("GET", "/teams/a%2Fb%20%3F%23%25%C3%A9?subject=user%3Aana%40example.com", None)]


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_lead_elsewhere_are_not_sent(api, control, name):
    with pytest.raises(click.UsageError, match="cannot be a name"):
        api.tell("DELETE", "teams", name)

    assert control.requests == []


def test_keeps_the_path_of_the_url(control):
    """As behind an ingress that serves several things."""
    control.answer(ME)

    ControlApi(address_of(f"{control.url}/llm/"), CREDENTIAL).ask("GET", "me", kind=dict)

    assert control.requests == [("GET", "/llm/api/svc/v1/me", None)]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, "no such thing"),
        (401, "the gateway does not take the token of --token: no such thing"),
        (403, "this token may not do that: no such thing"),
        (409, "no such thing"),
        (503, "no such thing (status 503)"),
    ],
)
@pytest.mark.parametrize("body", [{"message": "no such thing"}, {"error": {"message": "no such thing"}}])
def test_says_what_the_gateway_says(api, control, error_of, status, body, text):
    control.answer(body, status)

    assert error_of(api) == text


def test_what_the_gateway_says_cannot_drive_the_terminal(api, control, error_of):
    control.answer({"message": "\x1b[2Jgone\nError: ‮"}, 409)

    assert error_of(api) == "\\x1b[2Jgone\\nError: \\u202e"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"error": "no"}', b'{"message": 5}', b"\xff"])
def test_an_error_without_a_message(api, control, error_of, body):
    control.answer(body, 502)

    assert error_of(api) == "URL answered with status 502 and no message; is that a gateway?"


def test_an_answer_that_is_not_json(api, control, error_of):
    """The login page of a proxy comes with status 200."""
    control.answer(b"<html>")

    assert error_of(api) == "the answer of URL is not JSON; is that a gateway?"


def test_telling_wants_json_too(api, control):
    """Else a login page would pass for a token that was revoked."""
    control.answer(b"<html>")
    control.answer(b"", 204)

    with pytest.raises(click.ClickException, match="is not JSON"):
        api.tell("DELETE", "tokens", "tok_1")
    api.tell("DELETE", "tokens", "tok_1")


def test_a_credential_does_not_show_its_token():
    assert repr(CREDENTIAL) == "Credential(--token)"


def test_an_answer_that_was_not_expected(api, control, error_of):
    control.answer([])

    assert error_of(api) == (
        "URL gave an answer that is not understood (Expected `object`, got `array`); is its version another?"
    )


def test_follows_no_redirect(api, control, error_of):
    """It would take the token to wherever it leads."""
    control.answer(b"", 307, Location="http://elsewhere.example.com/")

    assert error_of(api) == (
        "URL redirects to http://elsewhere.example.com/; if that is your gateway, name it with --url"
    )
    assert len(control.requests) == 1


def test_no_gateway(error_of):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]

    assert error_of(ControlApi(address_of(f"http://127.0.0.1:{port}"), CREDENTIAL)) == (
        "no gateway answers at URL (Connection refused); start one with `gateway serve` or name it with --url"
    )


def test_no_such_host(error_of):
    text = error_of(ControlApi(address_of("http://a..b"), CREDENTIAL))

    assert text.startswith("no gateway answers at URL (")


@pytest.mark.parametrize(("method", "doubt"), [("GET", ""), ("POST", "; it may have done what was asked all the same")])
def test_no_answer_in_time(error_of, method, doubt):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = ControlApi(address_of(f"http://127.0.0.1:{silent.getsockname()[1]}"), CREDENTIAL, timeout_s=0.05)

        assert error_of(api, method) == f"URL gave no answer (timed out){doubt}"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "what it said is not HTTP"),
        (b"", "Remote end closed connection without response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "IncompleteRead(2 bytes read, 7 more expected)"),
    ],
)
def test_an_answer_that_breaks_off(api, control, error_of, answer, reason):
    control.answer(answer, status=None)

    assert error_of(api) == f"URL gave no answer ({reason})"


def test_https(control, error_of, tmp_path, monkeypatch):
    """The usual variable names an authority of one's own; without it, nobody is trusted who is not known."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    control.socket = context.wrap_socket(control.socket, server_side=True)
    control.scheme = "https"
    control.answer(ME)
    api = ControlApi(address_of(control.url), CREDENTIAL)

    assert "CERTIFICATE_VERIFY_FAILED" in error_of(api)

    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert api.ask("GET", "me", kind=dict) == ME


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gateway:8787",
        "ftp://gateway",
        "http://",
        "http://ana:pw@gateway",
        "http://g?x",
        "http://g#x",
        "http://g:x",
        "http://a b",
    ],
)
def test_where_no_gateway_can_be(url):
    with pytest.raises(ValueError, match=r"^(it has to look like http://host:port|Port could not be cast)"):
        address_of(url)
