import pytest

ME = {
    "subject": "user:ana@example.com",
    "teams": ["ops", "platform"],
    "isAdmin": False,
    "credential": "personal",
    "tokenId": "tok_1",
    "permissions": [
        {"permission": "provider-account:UseIntegrations", "resource": "provider-account:openai-main"},
        {"permission": "team:ManageTeam", "resource": "team:ops"},
    ],
}


def test_list(cli, control):
    ana = {"email": "ana@example.com", "active": True, "teams": ["ops", "platform"], "createdAt": None}
    bob = {"email": "bob@example.com", "active": False, "teams": [], "createdBy": "admin"}
    control.answer({"data": [ana, {**bob, "createdAt": "2026-11-22T17:03:59Z"}]})

    result = cli("user", "list")

    assert result.output.splitlines() == [
        "EMAIL            STATUS    TEAMS          CREATED               CREATED BY",
        "ana@example.com  active    ops, platform  -                     -",
        "bob@example.com  inactive  -              2026-11-22 17:03 UTC  admin",
    ]
    assert control.requests == [("GET", "/users", None)]


def test_list_as_json(cli, control):
    control.answer({"data": [{"email": "ana@example.com"}]})

    assert cli("user", "list", "--json").stdout == '[\n  {\n    "email": "ana@example.com"\n  }\n]\n'


@pytest.mark.parametrize(
    ("arguments", "request_", "shown"),
    [
        (
            ["add", "ana@example.com", "--team", "ops"],
            ("POST", "/users/register", {"email": "ana@example.com", "teams": ["ops"]}),
            "added ana@example.com\n",
        ),
        (
            ["deactivate", "ana@example.com"],
            ("PATCH", "/users/deactivate", {"email": "ana@example.com"}),
            "deactivated ana@example.com\n",
        ),
        (
            ["activate", "ana@example.com"],
            ("PATCH", "/users/activate", {"email": "ana@example.com"}),
            "activated ana@example.com\n",
        ),
        (
            ["delete", "ana@example.com", "--yes"],
            ("DELETE", "/users/ana%40example.com", None),
            "deleted ana@example.com\n",
        ),
    ],
)
def test_changes(cli, control, arguments, request_, shown):
    control.answer({})

    result = cli("user", *arguments)

    assert result.output == shown
    assert result.exit_code == 0
    assert control.requests == [request_]


def test_delete_only_when_meant(cli, control):
    result = cli("user", "delete", "ana@example.com", given="n\n")

    assert result.exit_code == 1
    assert control.requests == []


def test_delete_says_where_somebody_still_is(cli, control):
    control.answer({"email": "ana@example.com", "status": "deleted", "teamsManagedByFiles": ["ops"]})

    result = cli("user", "delete", "ana@example.com", "--yes")

    assert result.stderr == "still in the team ops, which a file of the gateway manages (warning)\n"


def test_me(cli, control):
    control.answer(ME)

    result = cli("user", "me")

    assert result.output.splitlines() == [
        "subject     user:ana@example.com",
        "teams       ops, platform",
        "admin       no",
        "credential  personal",
        "token id    tok_1",
        "",
        "PERMISSION                        RESOURCE",
        "provider-account:UseIntegrations  provider-account:openai-main",
        "team:ManageTeam                   team:ops",
    ]
    assert control.requests == [("GET", "/me", None)]


def test_me_of_an_admin(cli, control):
    control.answer({"subject": "admin", "teams": [], "isAdmin": True, "credential": "admin", "permissions": []})

    result = cli("user", "me")

    assert "admin       yes\n" in result.output
    assert "PERMISSION" not in result.output


def test_me_as_json(cli, control):
    control.answer({"subject": "admin"})

    assert cli("user", "me", "--json").stdout == '{\n  "subject": "admin"\n}\n'
