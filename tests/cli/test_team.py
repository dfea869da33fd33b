import pytest

PLATFORM = {
    "name": "platform",
    "members": ["ana@example.com", "bob@example.com"],
    "managers": ["ana@example.com"],
    "managedBy": "api",
    "version": 3,
}
OPS = {"name": "ops", "members": [], "managers": [], "managedBy": "file:gateway.yaml:7", "version": None}


def test_list(cli, control):
    control.answer({"data": [PLATFORM, OPS]})

    result = cli("team", "list")

    assert result.output.splitlines() == [
        "NAME      MEMBERS  MANAGERS         MANAGED BY           VERSION",
        "platform  2        ana@example.com  api                  3",
        "ops       0        -                file:gateway.yaml:7  -",
    ]
    assert control.requests == [("GET", "/teams", None)]


def test_list_as_json(cli, control):
    control.answer({"data": []})

    assert cli("team", "list", "--json").stdout == "[]\n"


def test_show(cli, control):
    control.answer({"data": [OPS, PLATFORM]})

    result = cli("team", "show", "platform")

    assert result.output.splitlines() == [
        "name        platform",
        "managed by  api",
        "version     3",
        "manager     ana@example.com",
        "member      bob@example.com",
    ]


def test_show_one_that_is_not_there(cli, control):
    control.answer({"data": [OPS]})

    result = cli("team", "show", "platform")

    assert result.stderr == "Error: there is no team named platform, or you may not see it\n"
    assert result.exit_code == 1


def test_create(cli, control):
    control.answer({"data": []})
    control.answer({"action": "CREATE", "manifest": {}, "version": 1, "warnings": ["members: nobody known"]})

    result = cli(
        "team", "create", "ops", "--member", "a@example.com", "--member", "b@example.com", "--manager", "c@d.e"
    )

    assert result.stdout == "created team ops (version 1)\n"
    assert result.stderr == "team ops: members: nobody known (warning)\n"
    manifest = {"type": "team", "name": "ops", "members": ["a@example.com", "b@example.com"], "managers": ["c@d.e"]}
    assert control.requests[1] == ("PUT", "/teams", {"manifest": manifest, "dryRun": False})


def test_create_does_not_replace(cli, control):
    """The API would: a second `create` would throw out who is in the team."""
    control.answer({"data": [PLATFORM]})

    result = cli("team", "create", "platform")

    assert result.stderr == (
        "Error: there is a team named platform; change it with `gateway team add` and `gateway team remove`\n"
    )
    assert result.exit_code == 1
    assert len(control.requests) == 1


@pytest.mark.parametrize(("flags", "manager", "role"), [([], False, "member of"), (["--manager"], True, "manager of")])
def test_add(cli, control, flags, manager, role):
    control.answer({})
    control.answer({})

    result = cli("team", "add", "ops", "a@example.com", "b@example.com", *flags)

    assert result.output == f"a@example.com is a {role} ops\nb@example.com is a {role} ops\n"
    assert control.requests == [
        ("POST", "/teams/ops/members", {"email": "a@example.com", "manager": manager}),
        ("POST", "/teams/ops/members", {"email": "b@example.com", "manager": manager}),
    ]


def test_add_stops_when_refused(cli, control):
    control.answer({"message": "team ops is managed in gateway.yaml:7; change it there"}, 409)

    result = cli("team", "add", "ops", "a@example.com", "b@example.com")

    assert result.output == "Error: team ops is managed in gateway.yaml:7; change it there\n"
    assert result.exit_code == 1
    assert len(control.requests) == 1


def test_remove(cli, control):
    control.answer({})

    result = cli("team", "remove", "ops", "a@example.com")

    assert result.output == "a@example.com is not in ops any more\n"
    assert control.requests == [("DELETE", "/teams/ops/members/a%40example.com", None)]


@pytest.mark.parametrize(("flags", "given"), [(["--yes"], None), ([], "y\n")])
def test_delete(cli, control, flags, given):
    control.answer({})

    result = cli("team", "delete", "ops", *flags, given=given)

    assert result.stdout == "deleted team ops\n"
    assert control.requests == [("DELETE", "/teams/ops", None)]


@pytest.mark.parametrize("given", ["n\n", ""])
def test_delete_only_when_meant(cli, control, given):
    result = cli("team", "delete", "ops", given=given)

    assert result.stderr.startswith("Delete the team ops? [y/N]: ")
    assert result.exit_code == 1
    assert control.requests == []
