import re
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.cli.first_run import Admin, admin_from, start_text, with_database

CURL = (
    """curl -N http://127.0.0.1:8787/v1/chat/completions -H "Authorization: Bearer $GATEWAY_ADMIN_TOKEN" """
    """-H 'Content-Type: application/json' """
    """-d '{"model": "demo/echo", "stream": true, "messages": [{"role": "user", "content": "Hello!"}]}'"""
)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_makes_a_token_that_only_the_owner_can_read(tmp_path):
    """Nor does it get into a repository by accident."""
    folder = tmp_path / ".gateway"

    admin = admin_from({"HOME": "/home/ana"}, folder)

    token = (folder / "admin-token").read_text().strip()
    assert re.fullmatch("gwa_[0-9A-Za-z]{38}", token)
    assert admin.environ == {"HOME": "/home/ana", "GATEWAY_ADMIN_TOKEN": token}
    assert mode(folder) == 0o700
    assert mode(folder / "admin-token") == 0o600
    assert (folder / ".gitignore").read_text() == "*\n"


def test_the_token_stays_the_same(tmp_path):
    first = admin_from({}, tmp_path)

    assert admin_from({}, tmp_path) == first


def test_the_environment_comes_first(tmp_path):
    environ = {"GATEWAY_ADMIN_TOKEN": "gwa_given"}

    admin = admin_from(environ, tmp_path)

    assert admin == Admin(environ, "$GATEWAY_ADMIN_TOKEN", "$GATEWAY_ADMIN_TOKEN")
    assert list(tmp_path.iterdir()) == []


def test_a_variable_with_nothing_but_a_line_break_is_not_set(tmp_path):
    """As an empty file in a secret's mount makes it."""
    admin = admin_from({"GATEWAY_ADMIN_TOKEN": "\n"}, tmp_path)

    assert admin.environ["GATEWAY_ADMIN_TOKEN"] == (tmp_path / "admin-token").read_text().strip()


def test_an_empty_file_is_no_token(tmp_path):
    """It would let everybody in who sends none."""
    (tmp_path / "admin-token").touch()

    with pytest.raises(ValueError, match="admin-token is empty; delete it"):
        admin_from({}, tmp_path)


def test_two_that_start_at_once_have_one_token(tmp_path):
    """Each of them makes one, and no moment is there in which the file is empty."""
    folder = tmp_path / ".gateway"

    with ThreadPoolExecutor(16) as pool:
        admins = list(pool.map(lambda _: admin_from({}, folder), range(64)))

    assert {admin.environ["GATEWAY_ADMIN_TOKEN"] for admin in admins} == {(folder / "admin-token").read_text().strip()}
    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", "admin-token"]


def test_a_database_beside_it(tmp_path):
    """With a pepper that only the owner can read, and that stays the same."""
    folder = tmp_path / ".gateway"

    environ = with_database({"HOME": "/home/ana"}, folder)

    pepper = (folder / "pepper").read_text().strip()
    assert environ == {
        "HOME": "/home/ana",
        "GATEWAY_DATABASE_URL": f"sqlite:///{folder}/gateway.db",
        "GATEWAY_PEPPER": pepper,
    }
    assert (len(pepper), mode(folder / "pepper")) == (64, 0o600)
    assert with_database({"HOME": "/home/ana"}, folder) == environ


def test_a_database_of_ones_own(tmp_path):
    """Its pepper is not made up here: other replicas would have another."""
    environ = {"GATEWAY_DATABASE_URL": "postgresql://db/gateway"}

    assert with_database(environ, tmp_path) == environ
    assert list(tmp_path.iterdir()) == []


def test_a_pepper_of_ones_own(tmp_path):
    environ = with_database({"GATEWAY_PEPPER": "given"}, tmp_path)

    assert environ["GATEWAY_PEPPER"] == "given"
    assert list(tmp_path.iterdir()) == []


def test_an_empty_pepper(tmp_path):
    (tmp_path / "pepper").touch()

    with pytest.raises(ValueError, match="pepper is empty; delete it"):
        with_database({}, tmp_path)


def test_the_shell_can_read_any_path(tmp_path):
    folder = tmp_path / "my files"
    folder.mkdir()

    assert admin_from({}, folder).in_shell == f"$(cat '{folder}/admin-token')"


def text(**changes):
    given = {
        "version": "0.1.0",
        "server": "hypercorn",
        "host": "127.0.0.1",
        "port": 8787,
        "config": None,
        "models": ("demo/echo",),
        "admin": Admin({"GATEWAY_ADMIN_TOKEN": "gwa_canary"}, "$GATEWAY_ADMIN_TOKEN", "$GATEWAY_ADMIN_TOKEN"),
    }
    return start_text(**(given | changes)).splitlines()


def test_what_people_read_first():
    assert text() == [
        "",
        "gateway 0.1.0 listens on http://127.0.0.1:8787 (hypercorn); Ctrl-C stops it",
        "",
        "  configuration  none: provider keys in the environment, and demo/echo",
        "  models         demo/echo",
        "  admin token    $GATEWAY_ADMIN_TOKEN",
        "  SDK base URL   http://127.0.0.1:8787/v1",
        "",
        "Try it:",
        "",
        CURL,
    ]


def test_many_models_are_counted():
    models = [f"main/model-{number}" for number in range(13)]

    shown = "main/model-0, main/model-1, main/model-2, main/model-3, main/model-4, main/model-5, main/model-6"
    assert text(models=models)[4] == f"  models         {shown}, main/model-7, main/model-8, main/model-9 and 3 more"


@pytest.mark.parametrize(
    ("models", "asked"),
    [(["openai/*", "main/small"], '"main/small"'), (["openai/*"], None), ([], None)],
)
def test_tries_a_model_that_can_be_asked_by_name(models, asked):
    lines = text(models=models)

    assert [f'"model": {asked}' in line for line in lines if line.startswith("curl")] == ([True] if asked else [])


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8787/v1"),
        ("::", "http://127.0.0.1:8787/v1"),
        ("::1", "http://[::1]:8787/v1"),
        ("gateway.example.com", "http://gateway.example.com:8787/v1"),
    ],
)
def test_an_address_one_can_go_to(host, url):
    assert text(host=host)[6] == f"  SDK base URL   {url}"
