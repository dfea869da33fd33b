import re

import pytest

NEW = {
    "id": "tok_1",
    "token": "gwp_secret",
    "subject": "user:ana@example.com",
    "name": "laptop",
    "hint": "gwp_...cret",
    "expiresAt": "2027-02-01T00:00:00Z",
}
LISTED = {
    "id": "tok_1",
    "subject": "user:ana@example.com",
    "name": "laptop",
    "hint": "gwp_...cret",
    "tokenType": "opaque",
    "createdAt": "2026-11-22T17:03:59Z",
    "createdBy": "admin",
    "expiresAt": None,
    "revokedAt": None,
    "lastUsedAt": None,
    "replacedBy": None,
    "status": "active",
}


def test_create_prints_the_token_alone(cli, control):
    """So that a shell can keep it, and people still learn what it is."""
    control.answer(NEW)

    result = cli("token", "create", "--user", "ana@example.com", "--name", "laptop", "--expires", "2027-01-31")

    assert result.stdout == "gwp_secret\n"
    assert result.stderr.splitlines() == [
        "id       tok_1",
        "owner    user:ana@example.com",
        "name     laptop",
        "expires  2027-02-01 00:00 UTC",
        "It is shown this once, and not kept.",
    ]
    assert result.exit_code == 0
    body = {
        "name": "laptop",
        "expirationDate": "2027-01-31",
        "tokenType": "opaque",
        "email": "ana@example.com",
        "teams": [],
    }
    assert control.requests == [("POST", "/personal-access-tokens/for-user", body)]


def test_create_quietly(cli, control):
    control.answer(NEW)

    result = cli("token", "create", "--user", "ana@example.com", "--quiet")

    assert result.output == "gwp_secret\n"


def test_create_with_teams_and_jwt(cli, control):
    control.answer({**NEW, "expiresAt": None})

    result = cli("token", "create", "--user", "ana@example.com", "--team", "a", "--team", "b", "--jwt")

    body = control.requests[0][2]
    assert (body["teams"], body["tokenType"], body["expirationDate"]) == (["a", "b"], "jwt", None)
    assert "expires  never\n" in result.stderr


def test_create_for_a_virtual_account(cli, control):
    control.answer({**NEW, "subject": "virtualaccount:ci"})

    result = cli("token", "create", "--virtual-account", "ci", "--name", "deploy", "--expires", "2027-01-31")

    assert result.stdout == "gwp_secret\n"
    body = {"name": "deploy", "expirationDate": "2027-01-31"}
    assert control.requests == [("POST", "/virtual-accounts/ci/tokens", body)]


def test_create_for_oneself(cli, control):
    control.answer(NEW)

    cli("token", "create", "--name", "laptop")

    body = {"name": "laptop", "expirationDate": None, "tokenType": "opaque"}
    assert control.requests == [("POST", "/personal-access-tokens", body)]


def test_a_name_of_its_own(cli, control):
    control.answer(NEW)

    cli("token", "create", "--user", "ana@example.com")

    assert re.fullmatch(r"cli-\d{4}-\d\d-\d\d-\d{6}", control.requests[0][2]["name"])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--user", "a@example.com", "--virtual-account", "ci"], "--user and --virtual-account exclude each other"),
        (["--team", "a"], "--team needs --user"),
        (["--virtual-account", "ci", "--team", "a"], "--team needs --user"),
        (
            ["--virtual-account", "ci", "--jwt"],
            "the manifest of a virtual account says which tokens it has, so --jwt does not go with it",
        ),
        (["--expires", "soon"], "Invalid value for '--expires': it has to look like 90d or 2027-01-31"),
    ],
)
def test_create_wrongly(cli, control, arguments, text):
    result = cli("token", "create", *arguments)

    assert result.stderr.splitlines()[-1] == f"Error: {text}"
    assert result.exit_code == 2
    assert control.requests == []


def test_a_refusal_leaves_standard_output_empty(cli, control):
    """`TOKEN=$(...)` must not hold an error."""
    control.answer({"message": "there is no virtual account named ci"}, 404)

    result = cli("token", "create", "--virtual-account", "ci")

    assert result.stdout == ""
    assert result.stderr == "Error: there is no virtual account named ci\n"
    assert result.exit_code == 1


def test_list(cli, control):
    other = {**LISTED, "id": "tok_22", "subject": "virtualaccount:ci", "name": "\x1b[2J", "status": "rotating"}
    control.answer({"data": [{**LISTED, "subject": "user:a@b.c"}, other]})

    result = cli("token", "list")

    assert result.output.splitlines() == [
        "ID      SUBJECT            NAME     HINT         TYPE    CREATED               EXPIRES  LAST USED  STATUS",
        "tok_1   user:a@b.c         laptop   gwp_...cret  opaque  2026-11-22 17:03 UTC  never    never      active",
        "tok_22  virtualaccount:ci  \\x1b[2J  gwp_...cret  opaque  2026-11-22 17:03 UTC  never    never      rotating",
    ]
    assert control.requests == [("GET", "/tokens", None)]


def test_list_of_one_with_its_past(cli, control):
    control.answer({"data": []})

    result = cli("token", "list", "--subject", "virtualaccount:ci", "--all")

    assert (result.stdout, result.stderr, result.exit_code) == ("", "no tokens\n", 0)
    assert control.requests == [("GET", "/tokens?subject=virtualaccount%3Aci&all=true", None)]


def test_list_as_json(cli, control):
    control.answer({"data": [{"id": "tok_1", "new": "\x1b"}]})

    result = cli("token", "list", "--json")

    assert result.stdout == '[\n  {\n    "id": "tok_1",\n    "new": "\\u001b"\n  }\n]\n'


def test_revoke(cli, control):
    control.answer({"id": "tok_1", "status": "revoked"})
    control.answer({"id": "tok_2", "status": "revoked"})

    result = cli("token", "revoke", "tok_1", "tok_2")

    assert result.output == "revoked tok_1\nrevoked tok_2\n"
    assert control.requests == [("DELETE", "/tokens/tok_1", None), ("DELETE", "/tokens/tok_2", None)]


def test_revoke_does_what_it_can(cli, control):
    """Who revokes tokens that leaked must not be stopped by one that is gone already."""
    control.answer({"message": "there is no token tok_1"}, 404)
    control.answer({"id": "tok_2", "status": "revoked"})

    result = cli("token", "revoke", "tok_1", "tok_2")

    assert result.stdout == "revoked tok_2\n"
    assert result.stderr == "Error: not revoked: tok_1: there is no token tok_1\n"
    assert result.exit_code == 1


def test_rotate(cli, control):
    control.answer({**NEW, "id": "tok_2", "replaces": "tok_1", "oldExpiresAt": "2026-11-23T17:03:00Z"})

    result = cli("token", "rotate", "tok_1", "--grace", "24h")

    assert result.stdout == "gwp_secret\n"
    assert "replaces  tok_1, which works until 2026-11-23 17:03 UTC\n" in result.stderr
    assert control.requests == [("POST", "/tokens/tok_1/rotate", {"gracePeriodInMinutes": 1440})]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "Missing option '--grace'."),
        (["--grace", "soon"], "Invalid value for '--grace': it has to look like 30m, 24h or 7d, or be 0"),
    ],
)
def test_rotate_wrongly(cli, arguments, text):
    """Nobody should guess for how long a token that perhaps leaked goes on working."""
    result = cli("token", "rotate", "tok_1", *arguments)

    assert result.stderr.splitlines()[-1] == f"Error: {text}"
    assert result.exit_code == 2
