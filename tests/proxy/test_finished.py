"""What a provider's own batch has cost: one bill for its owner, whoever sees first that it has ended."""

import asyncio
import json

import pytest

from gateway.contract.usage import Usage
from gateway.proxy.finished import target_of
from gateway.testing import FakeUpstream, request

ANA, BO, ADMIN = ({"authorization": f"Bearer gw-{name}-0123456789abcdef"} for name in ("ana", "bo", "test"))
ENVIRON = {
    "GATEWAY_ADMIN_TOKEN": "gw-test-0123456789abcdef",
    "GATEWAY_TOKENS": "user:ana@example.com=gw-ana-0123456789abcdef,user:bo@example.com=gw-bo-0123456789abcdef",
}
PRICED = {"metric": "per_1000_tokens", "value": {"input": 0.001, "output": 0.01, "cache_read": 0.0005}}
USAGE = {
    "input_tokens": 1000,
    "input_tokens_details": {"cached_tokens": 400},
    "output_tokens": 200,
    "output_tokens_details": {"reasoning_tokens": 50},
    "total_tokens": 1200,
}
USED = Usage(input=600, cache_read=400, output=150, reasoning=50)
COST = 600 * 1_000 + 400 * 500 + 200 * 10_000


def openai_account(**integration):
    model = {"type": "integration/model/openai", "name": "m", "model_id": "gpt-5", "model_types": ["chat"]}
    return {
        "type": "provider-account/openai",
        "name": "a",
        "auth_data": {"type": "api-key", "api_key": "provider-key"},
        "integrations": [{**model, "cost": PRICED, **integration}],
        "collaborators": [{"subject": "team:everyone", "role_id": "provider-account-access"}],
    }


def budget(dollars):
    limits = {"cost_per_month": dollars}
    applies_to = {"type": "per-user"}
    return {
        "type": "tenant-budget-config",
        "name": "each",
        "limits": limits,
        "applies_to": applies_to,
        "mode": "enforce",
    }


def batch(status, **fields):
    return 200, [json.dumps({"id": "batch-1", "status": status, **fields}).encode()]


class ListLedger:
    def __init__(self):
        self.entries = []

    def add(self, entry):
        self.entries.append(entry.billed())

    @property
    def bills(self):
        """Those that are not free."""
        return [each for each in self.entries if each.bill is None or each.bill.cost]


@pytest.fixture
def app(app_with, tmp_path):
    """`app(upstream, *manifests)`: with a batch of Ana's, that has begun."""

    async def make(upstream, *manifests):
        path = tmp_path / "accounts.yaml"
        path.write_text(json.dumps([*manifests]))
        gateway = app_with(upstream, path, environ=ENVIRON)
        gateway.admission.ledger = ListLedger()
        asked = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
        assert (await request(gateway, "POST", "/v1/batches", asked, headers=ANA)).status == 200
        return gateway

    return make


async def read(app, who=ANA, path="/v1/batches/batch-1"):
    answer = await request(app, "GET", path, headers=who)
    assert answer.status == 200
    return answer.json()


DONE = batch("completed", model="gpt-5-2025-08-07", usage=USAGE)


async def test_is_billed_once_when_it_has_ended(app):
    """Until then it says nothing, or not everything."""
    upstream = FakeUpstream(batch("validating"), batch("in_progress", model="gpt-5", usage=USAGE), DONE, DONE)
    gateway = await app(upstream, openai_account())

    await read(gateway)
    assert gateway.admission.ledger.bills == []
    await read(gateway)
    await read(gateway)

    (entry,) = gateway.admission.ledger.bills
    assert (entry.request_id, entry.subject, entry.model) == ("batch-1@a", "user:ana@example.com", "a/m")
    assert (entry.usage, entry.bill.cost, entry.outcome) == (USED, COST, "complete")


async def test_its_owner_pays_whoever_looks(app):
    """Also from a list."""
    gateway = await app(FakeUpstream(batch("validating"), DONE), openai_account())

    listed = await read(gateway, ADMIN, "/v1/batches")

    assert listed["data"][0]["status"] == "completed"
    assert [entry.subject for entry in gateway.admission.ledger.bills] == ["user:ana@example.com"]


async def test_of_several_who_look_at_once_one_sees_it_first(app):
    """A budget would count it for each of them."""
    gateway = await app(FakeUpstream(batch("validating"), DONE, DONE, DONE), openai_account())

    await asyncio.gather(read(gateway), read(gateway), read(gateway, ADMIN))

    assert len(gateway.admission.ledger.bills) == 1


async def test_public_prices_know_batches(app):
    """Half of what it costs otherwise. Source: openai.com/api/pricing, by way of genai-prices."""
    gateway = await app(FakeUpstream(batch("validating"), DONE), openai_account(cost={"metric": "public_cost"}))

    await read(gateway)

    (entry,) = gateway.admission.ledger.bills
    assert entry.bill.tariff.startswith("processing=batch")
    assert [(line.name, line.rate) for line in entry.bill.lines if line.name in ("input", "output")] == [
        ("input", 625_000_000),
        ("output", 5_000_000_000),
    ]


async def test_it_draws_on_the_owners_budget_beyond_its_end(app):
    """It is used, so whatever comes next has to wait; Bo's budget is his own."""
    said = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
    ok = (200, [json.dumps(said).encode()])
    upstream = FakeUpstream(batch("validating"), DONE, ok)
    gateway = await app(upstream, openai_account(), budget((COST - 1000) / 10**9))
    chat = {"model": "a/m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}

    await read(gateway)
    refused = await request(gateway, "POST", "/v1/chat/completions", chat, headers=ANA)
    allowed = await request(gateway, "POST", "/v1/chat/completions", chat, headers=BO)

    assert (refused.status, allowed.status) == (429, 200)
    (entry,) = [each for each in gateway.admission.ledger.entries if each.request_id == "batch-1@a"]
    assert [(charge.hold.scope, charge.amount) for charge in entry.charges] == [("user:ana@example.com", COST)]


@pytest.mark.parametrize(
    ("fields", "model"),
    [({"model": "gpt-6", "usage": USAGE}, "a/gpt-6"), ({"usage": USAGE}, "a/"), ({"model": 7, "usage": USAGE}, "a/")],
)
async def test_whose_price_nobody_knows_is_not_free(app, fields, model):
    gateway = await app(FakeUpstream(batch("validating"), batch("completed", **fields)), openai_account())

    await read(gateway)

    (entry,) = gateway.admission.ledger.bills
    assert (entry.model, entry.bill, gateway.admission.unpriced) == (model, None, 1)


@pytest.mark.parametrize(
    "usage", [None, {}, {"input_tokens": 0, "output_tokens": 0}, "many", {"input_tokens": [1]}, [1]]
)
async def test_who_says_nothing_is_not_billed(app, usage):
    """Or says what nobody understands: the caller gets his batch all the same."""
    gateway = await app(FakeUpstream(batch("validating"), batch("failed", usage=usage)), openai_account())

    assert (await read(gateway))["status"] == "failed"

    assert gateway.admission.ledger.bills == []


async def test_the_longest_name_is_the_model(app):
    """`gpt-5-mini-2025-08-07` is no `gpt-5`."""
    manifest = openai_account()
    mini = {**manifest["integrations"][0], "name": "mini", "model_id": "gpt-5-mini"}
    manifest["integrations"].append(mini)
    gateway = await app(FakeUpstream(batch("validating")), manifest)
    targets = gateway.config.snapshot.targets

    found = [
        target_of(targets, "a", name)
        for name in ("gpt-5", "gpt-5-2025-08-07", "gpt-5-mini-2025-08-07", "gpt-5-mini", "gpt-5-pro", "gpt", "")
    ]

    assert [each and each.name for each in found] == ["a/m", "a/m", "a/mini", "a/mini", None, None, None]
    assert target_of(targets, "b", "gpt-5") is None
