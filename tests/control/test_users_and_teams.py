"""Users, and the teams they are in."""

import pytest

RED = {"type": "team", "name": "red", "members": ["Ana@Example.com"], "description": "d"}


async def users(api):
    listed = (await api.done(api.ask("GET", "/users")))["data"]
    return {user["email"]: (user["active"], user["teams"]) for user in listed}


async def test_registering(api):
    """It may be done twice; teams that are not there yet are made."""
    await api.done(api.apply(RED))
    body = {"email": "Bo@Example.com", "teams": ["red", "blue"]}

    shown = [await api.done(api.ask("POST", "/users/register", body)) for _ in range(2)]

    assert [(user["id"], user["active"], user["teams"]) for user in shown] == [
        ("bo@example.com", True, ["blue", "red"])
    ] * 2
    assert await users(api) == {"ana@example.com": (True, ["red"]), "bo@example.com": (True, ["blue", "red"])}
    assert [change["action"] for change in (await api.done(api.ask("GET", "/history")))["data"]] == [
        "created",
        "updated",
        "create",
        "created",
    ]


async def test_who_is_known_only_from_a_team(api):
    """As most are, where an identity provider says who there is: shut out, let in again, and deleted all the same."""
    await api.done(api.apply(RED))
    body = {"email": "ana@example.com"}

    assert (await api.done(api.ask("PATCH", "/users/deactivate", body)))["active"] is False
    assert await users(api) == {"ana@example.com": (False, ["red"])}
    assert (await api.done(api.ask("PATCH", "/users/activate", body)))["active"] is True
    await api.done(api.ask("DELETE", "/users/ana@example.com"))
    assert await users(api) == {}

    await api.done(api.apply(RED))
    deleted = await api.done(api.ask("DELETE", "/users/ana@example.com"))
    assert deleted == {"email": "ana@example.com", "status": "deleted", "teamsManagedByFiles": []}
    assert await users(api) == {}


async def test_a_user_in_a_team_of_a_file(open_app, tmp_path):
    """Deleting says which teams have to be changed by hand."""
    config = tmp_path / "gateway.yaml"
    config.write_text("{type: team, name: red, members: [ana@example.com]}\n")
    api = await open_app(config)

    deleted = await api.done(api.ask("DELETE", "/users/ana@example.com"))

    assert deleted["teamsManagedByFiles"] == ["red"]


@pytest.mark.parametrize(("method", "path"), [("PATCH", "/users/activate"), ("DELETE", "/users/bo@example.com")])
async def test_a_user_who_is_not_there(api, method, path):
    answer = await api.refused(api.ask(method, path, {"email": "bo@example.com"}))

    assert answer == (404, "there is no user bo@example.com")


async def test_a_deleted_user_comes_back_with_nothing(api):
    await api.done(api.apply(RED))
    body = {"name": "laptop", "email": "ana@example.com"}
    new = await api.done(api.ask("POST", "/personal-access-tokens/for-user", body))

    await api.done(api.ask("DELETE", "/users/ANA@example.com"))
    await api.done(api.ask("POST", "/users/register", {"email": "ana@example.com"}))

    assert await api.whoami(new["token"]) == 401
    assert await users(api) == {"ana@example.com": (True, [])}


async def test_joining_and_leaving(api):
    """A member becomes a manager by joining again; addresses are the same in whatever case they are written."""
    await api.done(api.apply(RED))

    async def lists():
        (team,) = (await api.done(api.ask("GET", "/teams")))["data"]
        return team["members"], team["managers"]

    joined = await api.done(api.ask("POST", "/teams/red/members", {"email": "Bo@example.com"}))
    assert (joined["action"], joined["version"], joined["manifest"]["description"]) == ("UPDATE", 2, "d")
    assert await lists() == (["Ana@Example.com", "bo@example.com"], [])
    await api.done(api.ask("POST", "/teams/red/members", {"email": "ana@example.com", "manager": True}))
    assert await lists() == (["bo@example.com"], ["ana@example.com"])
    await api.done(api.ask("DELETE", "/teams/red/members/ANA@example.com"))
    assert await lists() == (["bo@example.com"], [])
    again = api.ask("DELETE", "/teams/red/members/ana@example.com")
    assert await api.refused(again) == (404, "ana@example.com is not in the team red")


async def test_a_manager_says_who_is_in_the_team(api):
    await api.done(api.apply({**RED, "managers": ["bo@example.com"]}))

    await api.done(api.ask("POST", "/teams/red/members", {"email": "cy@example.com"}, by="bo"))
    await api.done(api.ask("POST", "/teams/red/members", {"email": "dee@example.com", "manager": True}, by="bo"))
    await api.done(api.ask("DELETE", "/teams/red/members/bo@example.com", by="dee"))

    status, message = await api.refused(api.ask("POST", "/teams/red/members", {"email": "bo@example.com"}, by="bo"))
    assert (status, "team:ManageTeam on team:red" in message) == (403, True)


async def test_a_team_with_a_field_that_is_not_known(api):
    """Such a field is kept sealed, since it might be a secret. That must not keep members from joining."""
    await api.done(api.apply({**RED, "cost_centre": "42"}))

    await api.done(api.ask("POST", "/teams/red/members", {"email": "bo@example.com"}))
    await api.done(api.ask("DELETE", "/teams/red/members/ana@example.com"))
    await api.done(api.ask("DELETE", "/users/bo@example.com"))

    (row,) = (await api.done(api.ask("GET", "/manifests?type=team")))["data"]
    assert (row["manifest"]["members"], row["manifest"]["cost_centre"][:3]) == ([], "***")
    sealed = api.app.config.snapshot.manifests["team", "red"].data["cost_centre"]
    assert api.app.control.seal.open(sealed) == "42"


async def test_a_team_that_is_not_there(api):
    for answering in (
        api.ask("POST", "/teams/red/members", {"email": "bo@example.com"}),
        api.ask("DELETE", "/teams/red/members/bo@example.com"),
    ):
        assert await api.refused(answering) == (404, "there is no team named red")
