"""`gateway migrate`."""

import sqlite3

import pytest
from click.testing import CliRunner

from gateway.cli import main


def run(*words, **environ):
    given = {"GATEWAY_DATABASE_URL": None, "GATEWAY_RECORDS_URL": None, **environ}
    return CliRunner().invoke(main, ["migrate", *words], env=given, catch_exceptions=False)


def tables(path):
    connection = sqlite3.connect(path)
    try:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        connection.close()


@pytest.mark.parametrize("by", ["option", "environment"])
def test_makes_the_tables_once(tmp_path, by):
    url = f"sqlite:///{tmp_path}/gateway.db"
    given = {"words": ["--database-url", url]} if by == "option" else {"GATEWAY_DATABASE_URL": url, "words": []}
    words = given.pop("words")

    first, second = run(*words, **given), run(*words, **given)

    assert first.exit_code == 0
    assert first.output.startswith("applied 0001")
    assert (second.exit_code, second.output) == (0, "the tables are up to date\n")
    assert {"manifests", "tokens", "users", "secrets", "history"} <= tables(tmp_path / "gateway.db")
    assert {"requests", "request_days", "request_folds"} <= tables(tmp_path / "gateway-requests.db")


@pytest.mark.parametrize(("records", "files"), [("none", ["gateway.db"]), ("other", ["gateway.db", "other.db"])])
def test_records_are_where_they_are_said_to_be(tmp_path, records, files):
    records_url = records if records == "none" else f"sqlite:///{tmp_path}/{records}.db"

    result = run("--database-url", f"sqlite:///{tmp_path}/gateway.db", GATEWAY_RECORDS_URL=records_url)

    assert result.exit_code == 0
    assert sorted(path.name for path in tmp_path.glob("*.db")) == files


def test_without_a_url_it_is_the_one_beside_the_admin_token(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert run().exit_code == 0
    assert "tokens" in tables(tmp_path / ".gateway" / "gateway.db")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://root:canary@localhost/x", "starts with neither sqlite:/// nor postgresql://"),
        (
            "postgresql://user:canary@127.0.0.1:9/x",
            "the database at 127.0.0.1:9 cannot be reached: nobody listens there",
        ),
        ("sqlite:////proc/none/gateway.db", "the database /proc/none/gateway.db cannot be made"),
    ],
)
def test_what_it_cannot_do(url, message):
    """The message has no password in it."""
    result = run("--database-url", url)

    assert (result.exit_code, "canary" in result.output) == (1, False)
    assert message in result.output
