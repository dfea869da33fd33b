"""Every route and every kind of caller: who gets through, and who does not."""

import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from gateway.contract import Outcome, Record
from gateway.contract.entry import Entry
from gateway.control.routes import BASE, ROUTES, Needs, Permission
from gateway.rules.access import ADMIN_PERMISSION, TENANT
from gateway.testing import http_scope

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASSIGN = "tenant:AssignRole"
LIST_CONTROLS = "gateway-controls:ListGatewayControls"
MANAGE_CONTROLS = "gateway-controls:ManageGatewayControls"
DELETE_VIRTUAL_ACCOUNT = "virtual-account:DeleteVirtualAccount"
MANAGE_ACCOUNT = "provider-account:ManageProviderAccount"
MANAGE_GROUP = "secret-group:ManageSecretGroup"
MANAGE_ROLE = "role:ManageRole"
MANAGE_TEAM = "team:ManageTeam"
MANAGE_VIRTUAL_ACCOUNT = "virtual-account:ManageVirtualAccount"
READ_ACCOUNT = "provider-account:ReadProviderAccount"
READ_GROUP = "secret-group:ReadSecretGroup"
READ_ROLE = "role:ReadRole"
READ_TEAM = "team:ReadTeam"
READ_VIRTUAL_ACCOUNT = "virtual-account:ReadVirtualAccount"
NOBODY = "nobody but admins"

USE_DEMO = {
    "resource_type": "provider-account",
    "resource_fqn": "acme:demo:demo",
    "role_id": "provider-account-access",
}
STORED = {
    "team": {"members": ["red-member@example.com"]},
    "virtual-account": {"permissions": [USE_DEMO]},
    "secret-group": {},
    "provider-account/demo": {},
    "role": {"permissions": [READ_TEAM]},
    "role-binding": {"subjects": [], "permissions": []},
    "identity-provider": {"issuer": "https://idp.example.com", "audiences": ["gateway"]},
    "tenant-budget-config": {
        "limits": {"cost_per_month": 100},
        "applies_to": {"type": "aggregate"},
        "mode": "audit",
    },
}
"""Manifest type -> what the one named `red` says."""


def red(type_):
    return {"type": type_, "name": "red", **STORED[type_]}


def unchanged(type_):
    return {"manifest": red(type_), "dryRun": True}


class Case(NamedTuple):
    """How a route is asked, and what it answers to whom.

    `takes`: the permission, on what is named `red`, with which it answers `passed`; None: any valid token is enough.
    `others`: callers for whom it is neither `passed` nor `refused`.
    """

    takes: str | None = None
    body: Any = b""
    passed: int = 200
    refused: int = 403
    query: str = ""
    others: Mapping[str, int] = MappingProxyType({})


NO_GRACE = {"gracePeriodInMinutes": -1}
OF_TOKEN = Case(MANAGE_VIRTUAL_ACCOUNT, refused=404)

NEEDS = {
    ("GET", "/session"): Case(),
    ("GET", "/x/users/info"): Case(),
    ("GET", "/me"): Case(),
    ("PUT", "/apply"): Case(MANAGE_TEAM, unchanged("team")),
    ("PUT", "/apply/all"): Case(MANAGE_TEAM, {"steps": [unchanged("team")]}),
    ("POST", "/delete"): Case("team:DeleteTeam", unchanged("team")),
    ("POST", "/rollback"): Case(
        NOBODY,
        {"type": "team", "name": "red", "version": 1, "dryRun": True},
        refused=404,
        others={f"{READ_TEAM} on red": 403},
    ),
    ("GET", "/manifests"): Case(),
    ("GET", "/history"): Case(READ_TEAM, query="?type=team&name=red"),
    ("GET", "/tokens"): Case(),
    ("POST", "/tokens/{id}/rotate"): Case(MANAGE_VIRTUAL_ACCOUNT, NO_GRACE, passed=400, refused=404),
    ("DELETE", "/tokens/{id}"): OF_TOKEN,
    ("GET", "/personal-access-tokens"): Case(),
    ("POST", "/personal-access-tokens"): Case(
        body={"name": "x"}, passed=400, others={"plain user": 403, "manager of another team": 403}
    ),
    ("DELETE", "/personal-access-tokens/{id}"): OF_TOKEN,
    ("DELETE", "/virtual-accounts/{name}/jwt/{id}"): OF_TOKEN,
    ("GET", "/virtual-accounts/exists"): Case(),
    ("GET", "/virtual-accounts"): Case(),
    ("PUT", "/virtual-accounts"): Case(MANAGE_VIRTUAL_ACCOUNT, unchanged("virtual-account")),
    ("GET", "/virtual-accounts/{name}"): Case(READ_VIRTUAL_ACCOUNT, refused=404),
    ("DELETE", "/virtual-accounts/{name}"): Case(DELETE_VIRTUAL_ACCOUNT),
    ("GET", "/teams"): Case(),
    ("GET", "/teams/user"): Case(),
    ("PUT", "/teams"): Case(MANAGE_TEAM, unchanged("team")),
    ("GET", "/teams/{name}"): Case(READ_TEAM, refused=404),
    ("DELETE", "/teams/{name}"): Case("team:DeleteTeam"),
    ("GET", "/roles"): Case(),
    ("PUT", "/roles"): Case(MANAGE_ROLE, unchanged("role")),
    ("GET", "/roles/{name}"): Case(READ_ROLE, refused=404),
    ("DELETE", "/roles/{name}"): Case("role:DeleteRole"),
    ("GET", "/role-bindings"): Case(),
    ("PUT", "/role-bindings"): Case(ASSIGN, unchanged("role-binding")),
    ("GET", "/role-bindings/{name}"): Case(ASSIGN, refused=404),
    ("DELETE", "/role-bindings/{name}"): Case(ASSIGN),
    ("GET", "/provider-accounts"): Case(),
    ("PUT", "/provider-accounts"): Case(MANAGE_ACCOUNT, unchanged("provider-account/demo")),
    ("GET", "/provider-accounts/{name}"): Case(READ_ACCOUNT, refused=404),
    ("DELETE", "/provider-accounts/{name}"): Case("provider-account:DeleteProviderAccount"),
    ("GET", "/provider-integrations"): Case(),
    ("GET", "/identity-providers"): Case(),
    ("PUT", "/identity-providers"): Case(NOBODY, unchanged("identity-provider")),
    ("GET", "/identity-providers/{name}"): Case(NOBODY, refused=404),
    ("DELETE", "/identity-providers/{name}"): Case(NOBODY),
    ("GET", "/secret-groups"): Case(),
    ("PUT", "/secret-groups"): Case(MANAGE_GROUP, unchanged("secret-group")),
    ("GET", "/secret-groups/{name}"): Case(READ_GROUP, refused=404),
    ("DELETE", "/secret-groups/{name}"): Case("secret-group:DeleteSecretGroup"),
    ("GET", "/llm-gateway/budgets"): Case(),
    ("PUT", "/llm-gateway/budgets"): Case(MANAGE_CONTROLS, unchanged("tenant-budget-config")),
    ("GET", "/llm-gateway/budgets/my-usage"): Case(),
    ("GET", "/llm-gateway/budgets/{name}"): Case(LIST_CONTROLS, refused=404),
    ("DELETE", "/llm-gateway/budgets/{name}"): Case(MANAGE_CONTROLS),
    ("GET", "/llm-gateway/budgets/{name}/leaderboard"): Case(LIST_CONTROLS, refused=404),
    ("GET", "/llm-gateway/rate-limits"): Case(),
    ("GET", "/llm-gateway/config/{type}"): Case(LIST_CONTROLS, refused=404),
    ("GET", "/gateway/configs"): Case(LIST_CONTROLS, refused=404, query="?type=tenant-budget-config"),
    ("GET", "/llm-gateway/usage"): Case(),
    ("GET", "/llm-gateway/usage/requests/{request_id}"): Case(
        LIST_CONTROLS, refused=404, others={"manager of another team": 200}
    ),
    ("GET", "/requests"): Case(),
    ("GET", "/requests/stream"): Case(query="?no_such_filter=1", passed=400),  # else it would not end
    ("GET", "/requests/export"): Case(),
    ("GET", "/requests/facets"): Case(),
    ("GET", "/requests/{request_id}"): Case(NOBODY, refused=404),
    ("GET", "/requests/{request_id}/feedback"): Case(NOBODY, refused=404),
    ("PUT", "/requests/{request_id}/feedback/{name}"): Case(NOBODY, {"value": "up"}, refused=404),
    ("DELETE", "/requests/{request_id}/feedback/{name}"): Case(NOBODY, refused=404),
    ("POST", "/gateway-feedback"): Case(NOBODY, {"target": {"feedbackTargetId": "r1"}, "rating": 3}, refused=404),
    ("PUT", "/gateway-feedback/{id}"): Case(NOBODY, {"rating": 3}, refused=404, passed=404),
    ("DELETE", "/gateway-feedback/{id}"): Case(NOBODY, refused=404, passed=404),
    ("POST", "/llm-gateway/metrics/query"): Case(body={"startTs": 1772323200, "endTs": 1772326800}),
    ("POST", "/spans/query"): Case(body={"startTime": "2026-03-01T00:00:00Z"}),
}
"""What the table of routes cannot say. A route that needs an entry and has none fails its test."""

IN_TABLE = [(route.needs.permission, route.needs.resource) for route in ROUTES if isinstance(route.needs, Permission)]
PERMISSIONS = sorted(
    {*(permission for permission, _ in IN_TABLE), *(case.takes for case in NEEDS.values())} - {None, NOBODY}
)
FOR_TENANT = {LIST_CONTROLS, *(permission for permission, resource in IN_TABLE if resource == TENANT)}
STATIC = {
    f"{permission} {where}": f"holder-{number}-{where.replace(' ', '-')}"
    for number, permission in enumerate(PERMISSIONS)
    for where in ("on red", "on another")
}
"""Caller -> the name of one who holds one permission on one resource, and nothing else."""


def callers(permission):
    """Who asks a route that takes this: everybody there is, but for holders of something else on something else."""
    holders = [f"{other} on red" for other in PERMISSIONS]
    if permission in PERMISSIONS:
        holders.append(f"{permission} on another")
    return ("plain user", "manager of another team", "virtual account", "admin", *holders)


def grants():
    """The manifests that give STATIC what it holds. For a permission of the tenant, `red` is the tenant, and `another`
    resource anything less."""
    for number, permission in enumerate(PERMISSIONS):
        yield {"type": "role", "name": f"only-{number}", "permissions": [permission]}
        family = "role-binding" if permission == ASSIGN else permission.partition(":")[0]
        places = {"on red": (family, "red"), "on another": (family, "blue")}
        if permission in FOR_TENANT:
            places = {"on red": (TENANT, "acme"), "on another": ("team", "red")}
        for where, (type_, name) in places.items():
            email = f"{STATIC[f'{permission} {where}']}@example.com"
            yield {
                "type": "role-binding",
                "name": email,
                "subjects": [{"type": "user", "name": email}],
                "permissions": [{"resourceType": type_, "resourceFqn": f"acme:{name}", "role": f"only-{number}"}],
            }


REQUEST = Entry(
    request_id="r1",
    at=datetime(2026, 3, 1, tzinfo=UTC),
    subject="user:somebody@example.com",
    teams=frozenset({"blue"}),
    model="demo/echo",
    outcome="complete",
)
"""Of a member of the team whose manager is the `manager of another team`."""
RECORD = Record(
    timestamp=REQUEST.at,
    level="info",
    request_id=REQUEST.request_id,
    method="POST",
    path="/v1/chat/completions",
    status=200,
    outcome=Outcome.COMPLETE,
    duration_ms=1.0,
    request_type="chat",
    subject=REQUEST.subject,
    teams=("blue",),
)


class World:
    """An Api with all that the tests need, and who each caller is for it. `token_id` is one of the account `red`."""

    def __init__(self, api):
        self.api = api
        self.callers = {"admin": "admin", **STATIC}
        self.token_id = ""

    async def prepare(self):
        api = self.api
        await self.restore()
        for manifest in grants():
            await api.done(api.apply(manifest))
        await api.done(api.apply({"type": "team", "name": "blue", "members": [], "managers": ["cy@example.com"]}))
        await api.done(api.apply({"type": "virtual-account", "name": "robot", "permissions": [USE_DEMO]}))
        for caller, email in [
            ("plain user", "plain@example.com"),
            ("manager of another team", "cy@example.com"),
            ("deactivated user", "gone@example.com"),
        ]:
            body = {"name": "pat", "email": email}
            new = await api.done(api.ask("POST", "/personal-access-tokens/for-user", body))
            self.callers[caller] = new["token"]
        await api.done(api.ask("PATCH", "/users/deactivate", {"email": "gone@example.com"}))
        new = await api.done(api.ask("POST", "/virtual-accounts/robot/tokens"))
        self.callers["virtual account"] = new["token"]
        new = await api.done(api.ask("POST", "/virtual-accounts/red/tokens"))
        self.token_id = new["id"]
        await api.app.control.ledger.write([REQUEST], at=REQUEST.at)
        await api.app.control.records.write([RECORD])

    async def restore(self):
        """Makes what is named `red`, as far as it is not there."""
        for type_ in STORED:
            await self.api.done(self.api.apply(red(type_)))

    async def ask(self, route, caller, query, body):
        return await self.api.ask(route.method, self.path(route) + query, body, by=self.callers[caller])

    def path(self, route):
        names = {"name": "red", "id": self.token_id, "email": "nobody@example.com", "key": "none"}
        names |= {"type": "tenant-budget-config", "request_id": REQUEST.request_id}
        return re.sub(r"\{(\w+)\}", lambda part: names[part[1]], route.path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory, migrated_file, api_on, environ_for):
    """One for all tests here: none of them leaves anything behind."""
    database = shutil.copy(migrated_file, tmp_path_factory.mktemp("world") / "gateway.db")
    world = World(api_on(None, environ_for(database, STATIC.values())))
    async with world.api.app.lifespan():
        await world.prepare()
        yield world


def named(route):
    return f"{route.method} {route.path}"


WITH_PERMISSION = [route for route in ROUTES if isinstance(route.needs, Permission)]
OPEN = [route for route in ROUTES if route.needs is Needs.NOTHING]
WITH_NEEDS = [route for route in ROUTES if isinstance(route.needs, Needs) and route not in OPEN]


@pytest.mark.parametrize("route", WITH_PERMISSION, ids=named)
async def test_a_route_that_takes_a_permission(world, route):
    """Whoever holds it on the resource gets through, whatever comes then; all others are told what they lack. That is
    decided before the body is looked at, which here is nonsense."""
    permission = route.needs.permission
    called = "the role tenant-admin" if permission == ADMIN_PERMISSION else permission
    answers = {}
    for caller in callers(permission):
        answer = await world.ask(route, caller, "", b"[")
        answers[caller] = "passed"
        if answer.status in (401, 403):
            message = answer.json()["error"]["message"]
            answers[caller] = f"{answer.status} {permission if called in message else message}"

    passed = {"admin"} if permission == ADMIN_PERMISSION else {"admin", f"{permission} on red"}
    assert answers == {caller: "passed" if caller in passed else f"403 {permission}" for caller in callers(permission)}


@pytest.mark.parametrize("route", WITH_NEEDS, ids=named)
async def test_a_route_that_looks_for_itself(world, route):
    """What it takes stands in NEEDS; a route that is not there fails."""
    case = NEEDS[route.method, route.path]
    answers = {}
    for caller in callers(case.takes):
        answer = await world.ask(route, caller, case.query, case.body)
        answers[caller] = answer.status
        if route.method == "DELETE" and answer.status == 200:
            await world.restore()

    passed = set(callers(None)) if case.takes is None else {"admin", f"{case.takes} on red"}
    expected = {caller: case.passed if caller in passed else case.refused for caller in callers(case.takes)}
    assert answers == {**expected, **case.others}


@pytest.mark.parametrize("caller", ["stranger", "deactivated user"])
async def test_who_is_nobody(world, caller):
    """Not a byte of the body is read, so that strangers cannot make us keep any."""
    headers = {"authorization": f"Bearer {world.callers[caller]}"} if caller != "stranger" else {}
    answers = {}

    async def receive():
        raise AssertionError("the body was read")

    for route in ROUTES:
        sent = []

        async def send(message, sent=sent):
            sent.append(message)

        await world.api.app(http_scope(route.method, BASE + world.path(route), headers, 0), receive, send)
        answers[named(route)] = sent[0]["status"]

    assert answers == {named(route): 200 if route in OPEN else 401 for route in ROUTES}


async def test_what_is_open_to_all():
    """It says nothing that depends on who asks, or on what is kept."""
    assert [route.path for route in OPEN] == ["/min-cli-version", "/tenant-id"]


async def test_the_table_of_this_test_has_no_more_than_there_is():
    assert set(NEEDS) == {(route.method, route.path) for route in WITH_NEEDS}
