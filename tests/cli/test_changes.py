"""`gateway delete`, `gateway history` and `gateway rollback`."""

import pytest

CHANGES = [
    {
        "number": 12,
        "at": "2026-11-22T17:03:59Z",
        "subject": "user:ana@example.com",
        "action": "updated",
        "type": "team",
        "name": "ops",
        "version": 2,
        "diff": "--- ops (version 1)\n+++ ops (version 2)\n@@ -1 +1 @@\n-a: \x1b[2J\n+a: 2",
    },
    {
        "number": 9,
        "at": "2026-11-21T08:00:00Z",
        "subject": "admin",
        "action": "created",
        "type": "user",
        "name": "ana@example.com",
        "version": None,
        "diff": None,
    },
]
TABLE = [
    "NUMBER  TIME                  WHO                   ACTION   TYPE  NAME             VERSION",
    "12      2026-11-22 17:03 UTC  user:ana@example.com  updated  team  ops              2",
    "9       2026-11-21 08:00 UTC  admin                 created  user  ana@example.com  -",
]
ROLLED_BACK = {
    "action": "UPDATE",
    "manifest": {"type": "team", "name": "ops", "a": 1},
    "existingManifest": {"type": "team", "name": "ops", "a": 2},
    "version": 3,
    "warnings": ["a: odd"],
}
DIFFERENCE = ["+++ ops (new)", "@@ -1,3 +1,3 @@", " type: team", " name: ops", "-a: 2", "+a: 1"]


@pytest.mark.parametrize(("flags", "given"), [(["--yes"], None), ([], "y\n")])
def test_delete(cli, control, flags, given):
    control.answer({"action": "DELETE", "existingManifest": {}, "version": 2, "dryRun": False})

    result = cli("delete", "team", "ops", *flags, given=given)

    assert result.stdout == "deleted team ops\n"
    body = {"manifest": {"type": "team", "name": "ops"}, "dryRun": False}
    assert control.requests == [("POST", "/delete", body)]


@pytest.mark.parametrize("given", ["n\n", ""])
def test_delete_only_when_meant(cli, control, given):
    result = cli("delete", "team", "ops", given=given)

    assert result.stderr.startswith("Delete team ops? [y/N]: ")
    assert result.exit_code == 1
    assert control.requests == []


def test_delete_of_what_a_file_manages(cli, control):
    control.answer({"message": "team ops is managed in /etc/gateway/x.yaml:12; change it there"}, 409)

    result = cli("delete", "team", "ops", "--yes")

    assert result.output == "Error: team ops is managed in /etc/gateway/x.yaml:12; change it there\n"
    assert result.exit_code == 1


def test_history(cli, control):
    control.answer({"data": CHANGES})

    result = cli("history")

    assert result.output.splitlines() == TABLE
    assert control.requests == [("GET", "/history?limit=20", None)]


def test_history_of_one(cli, control):
    control.answer({"data": []})

    result = cli("history", "provider-account/openai", "main", "--limit", "5", "--before", "12")

    assert (result.stdout, result.stderr, result.exit_code) == ("", "no changes\n", 0)
    path = "/history?type=provider-account%2Fopenai&name=main&limit=5&before=12"
    assert control.requests == [("GET", path, None)]


def test_history_with_differences(cli, control):
    control.answer({"data": CHANGES})

    result = cli("history", "--show-diff")

    assert result.output.splitlines() == [
        *TABLE[:2],
        "--- ops (version 1)",
        "+++ ops (version 2)",
        "@@ -1 +1 @@",
        "-a: \\x1b[2J",
        "+a: 2",
        TABLE[2],
    ]


def test_history_as_json(cli, control):
    control.answer({"data": [{"number": 1}]})

    assert cli("history", "--json").stdout == '[\n  {\n    "number": 1\n  }\n]\n'


def test_history_of_a_type_without_a_name(cli):
    result = cli("history", "team")

    assert result.stderr.splitlines()[-1] == "Error: give a name with the type, or neither"
    assert result.exit_code == 2


def test_rollback(cli, control):
    control.answer(ROLLED_BACK)

    result = cli("rollback", "team", "ops", "1", "--show-diff")

    assert result.stdout.splitlines() == [
        "rolled back team ops to version 1, now version 3",
        "--- ops (version 2)",
        *DIFFERENCE,
    ]
    assert result.stderr == "team ops: a: odd (warning)\n"
    assert result.exit_code == 0
    body = {"type": "team", "name": "ops", "version": 1, "dryRun": False}
    assert control.requests == [("POST", "/rollback", body)]


def test_rollback_dry(cli, control):
    """The exit code is that of `diff`."""
    control.answer(ROLLED_BACK)

    result = cli("rollback", "team", "ops", "1", "--dry-run", "--show-diff")

    assert result.stdout.splitlines() == [
        "would roll back team ops to version 1",
        "--- ops (version 3)",
        *DIFFERENCE,
    ]
    assert result.exit_code == 1


def test_rollback_to_what_it_is(cli, control):
    control.answer({**ROLLED_BACK, "changed": False, "existingManifest": ROLLED_BACK["manifest"], "warnings": []})

    result = cli("rollback", "team", "ops", "1", "--dry-run", "--show-diff")

    assert result.output == "unchanged team ops (version 3)\n"
    assert result.exit_code == 0


@pytest.mark.parametrize(("flags", "code"), [([], 1), (["--dry-run"], 1), (["--dry-run", "--show-diff"], 2)])
def test_rollback_to_nothing(cli, control, flags, code):
    control.answer({"message": "team ops has no version 9; `history` lists those there are"}, 404)

    result = cli("rollback", "team", "ops", "9", *flags)

    assert result.output == "Error: team ops has no version 9; `history` lists those there are\n"
    assert result.exit_code == code
