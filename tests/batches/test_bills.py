"""What a provider's own batch has cost: one bill for its owner, whoever sees first that it has ended."""

import asyncio
import json

import pytest

from gateway.batches.bills import target_of
from gateway.contract import FormPart
from gateway.contract.usage import Usage
from gateway.errors import BrokeOff
from gateway.testing import FakeUpstream, request
from gateway.wire.form import form_of

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


def line(number=1, model="gpt-5-2025-08-07", usage=USAGE, status=200, **fields):
    response = {"status_code": status, "request_id": "r", "body": {"model": model, "usage": usage}}
    return {"id": f"batch_req_{number}", "custom_id": f"c{number}", "response": response, "error": None, **fields}


def lines(*of):
    return 200, [b"\n".join(json.dumps(each).encode() for each in of)]


def asks(*models):
    return lines(
        *[{"custom_id": str(n), "url": "/v1/chat/completions", "body": {"model": m}} for n, m in enumerate(models)]
    )


FILE = 200, [b'{"id":"file-1"}']
DONE = batch("completed", model="gpt-5-2025-08-07", usage=USAGE)
WITH_OUTPUT = batch("completed", output_file_id="file-2", request_counts={"total": 3, "completed": 3, "failed": 0})


@pytest.fixture
def app(app_with, tmp_path, noted, with_ledger):
    """`app(replies, *manifests)`: with a batch of Ana's, that has begun. What came of it is in `app.upstream`."""

    async def make(replies, *manifests):
        path = tmp_path / "accounts.yaml"
        path.write_text(json.dumps([*manifests]))
        make.upstream = FakeUpstream(FILE, asks("gpt-5"), batch("validating"), *replies)
        gateway = with_ledger(app_with(make.upstream, path, environ=ENVIRON))
        watching_of(gateway).watches = noted
        kind, form = form_of([FormPart("purpose", b"batch"), FormPart("file", b"{}", "a.jsonl", "text/plain")], "b")
        await request(gateway, "POST", "/v1/files", form, headers={**ANA, "content-type": kind})
        asked = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        assert (await request(gateway, "POST", "/v1/batches", asked, headers=ANA)).status == 200
        return gateway

    return make


async def read(app, who=ANA, path="/v1/batches/batch-1"):
    answer = await request(app, "GET", path, headers=who)
    assert answer.status == 200
    return answer.json()


def watching_of(gateway):
    return next(part for part in gateway.parts if part.name == "batches at providers")


@pytest.fixture
def settled(until, noted):
    """`await settled()`: all batches that have ended are billed, or need not be."""

    async def settled():
        await until(lambda: not noted.open)

    return settled


async def test_is_billed_once_when_it_has_ended(app, settled):
    """Until then it says nothing, or not everything."""
    gateway = await app([batch("in_progress", model="gpt-5", usage=USAGE), DONE, DONE], openai_account())

    await read(gateway)
    assert gateway.admission.ledger.bills == []
    await read(gateway)
    await settled()
    await read(gateway)
    await settled()

    (entry,) = gateway.admission.ledger.bills
    assert (entry.request_id, entry.subject, entry.model) == ("batch-1@a", "user:ana@example.com", "a/m")
    assert (entry.usage, entry.bill.cost, entry.outcome) == (USED, COST, "complete")


async def test_its_output_tells_what_each_line_has_used(app, settled):
    """What was refused is free; of what nobody tells, the bill says that it is missing."""
    output = lines(line(1), line(2), line(3, status=500), line(4, usage=None), line(5, response=None))
    gateway = await app([WITH_OUTPUT, output], openai_account())

    await read(gateway)
    await settled()

    (entry,) = gateway.admission.ledger.bills
    assert (entry.request_id, entry.model, entry.bill.cost) == ("batch-1@a", "a/m", 2 * COST)
    assert entry.usage == Usage(input=1200, cache_read=800, output=300, reasoning=100)
    assert [(each.name, each.amount, each.cost) for each in entry.bill.lines] == [
        ("input", 1200, 1_200_000),
        ("cache_read", 800, 400_000),
        ("output", 300, 3_000_000),
        ("reasoning", 100, 1_000_000),
    ]
    assert entry.bill.unpriced == ("requests without usage",)


async def test_each_model_has_a_bill_of_its_own(app, settled):
    account = openai_account()
    account["integrations"].append({**account["integrations"][0], "name": "other", "model_id": "gpt-6"})
    gateway = await app([WITH_OUTPUT, lines(line(1), line(2, "gpt-6"), line(3, "gpt-6"))], account)

    await read(gateway)
    await settled()

    assert [(each.request_id, each.model, each.bill.cost) for each in gateway.admission.ledger.bills] == [
        ("batch-1@a", "a/m", COST),
        ("batch-1@a/1", "a/other", 2 * COST),
    ]


@pytest.mark.parametrize(
    ("output", "cost"),
    [
        (
            (200, [json.dumps(line(1)).encode()[:cut] for cut in ()] + [b"no json\n" + json.dumps(line(1)).encode()]),
            COST,
        ),
        ((200, [bytes([each]) for each in json.dumps(line(1)).encode()]), COST),
        (lines(line(1, response={"body": {"model": "gpt-5", "usage": USAGE}})), COST),
    ],
)
async def test_output_that_is_odd_is_read_as_far_as_it_can_be(app, settled, output, cost):
    gateway = await app([WITH_OUTPUT, output], openai_account())

    await read(gateway)
    await settled()

    assert [each.bill.cost for each in gateway.admission.ledger.bills if each.bill is not None] == [cost]


async def test_an_output_that_is_cut_off_is_read_again(app, until, noted):
    """Half of it would be half of the bill."""
    cut = (200, [json.dumps(line(1)).encode() + b"\n", BrokeOff("cut")])
    gateway = await app([WITH_OUTPUT, cut, lines(line(1), line(2))], openai_account())
    await read(gateway)
    await until(lambda: len(app.upstream.requests) == 5)
    await until(lambda: len(noted.given_back) == 1)
    assert gateway.admission.ledger.bills == []

    batch = await gateway.parts[1].find("batch", "batch-1", None)
    await watching_of(gateway).seen(batch, True)

    await until(lambda: [each.bill.cost for each in gateway.admission.ledger.bills] == [2 * COST])


async def test_a_status_that_is_none_is_not_the_end(app):
    """It was a traceback at each look."""
    strange = 200, [b'{"id":"batch-1","status":["completed"]}']
    gateway = await app([strange], openai_account())
    watching = next(part for part in gateway.parts if part.name == "batches at providers")
    (place,) = watching.watches._places.values()

    assert await watching._look(place.watch) is False


async def test_without_its_output_the_batch_itself_tells(app, settled):
    """Its owner has deleted the file."""
    done = batch("completed", output_file_id="file-2", model="gpt-5", usage=USAGE)
    gateway = await app([done, (404, [b'{"error":{"message":"gone"}}'])], openai_account())

    await read(gateway)
    await settled()

    assert [each.bill.cost for each in gateway.admission.ledger.bills] == [COST]


async def test_nobody_tells_what_it_has_used(app, settled):
    """It is not free, then, but in the ledger without a price."""
    gateway = await app([WITH_OUTPUT, (404, [b'{"error":{"message":"gone"}}'])], openai_account())

    await read(gateway)
    await settled()

    (entry,) = gateway.admission.ledger.bills
    assert (entry.request_id, entry.bill, entry.usage, gateway.admission.unpriced) == ("batch-1@a", None, None, 1)


async def test_its_owner_pays_whoever_looks(app, settled):
    """Also from a list."""
    gateway = await app([DONE], openai_account())

    listed = await read(gateway, ADMIN, "/v1/batches")
    await settled()

    assert listed["data"][0]["status"] == "completed"
    assert [entry.subject for entry in gateway.admission.ledger.bills] == ["user:ana@example.com"]


async def test_of_several_who_look_at_once_one_sees_it_first(app, settled):
    """A budget would count it for each of them."""
    gateway = await app([DONE, DONE, DONE], openai_account())

    await asyncio.gather(read(gateway), read(gateway), read(gateway, ADMIN))
    await settled()

    assert len(gateway.admission.ledger.bills) == 1


async def test_public_prices_know_batches(app, settled):
    """Half of what it costs otherwise. Source: openai.com/api/pricing, by way of genai-prices."""
    gateway = await app([WITH_OUTPUT, lines(line(1))], openai_account(cost={"metric": "public_cost"}))

    await read(gateway)
    await settled()

    (entry,) = gateway.admission.ledger.bills
    assert entry.bill.tariff.startswith("processing=batch")
    assert [(line.name, line.rate) for line in entry.bill.lines if line.name in ("input", "output")] == [
        ("input", 625_000_000),
        ("output", 5_000_000_000),
    ]


async def test_it_draws_on_the_owners_budget_beyond_its_end(app, settled):
    """It is used, so whatever comes next has to wait; Bo's budget is his own."""
    said = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
    ok = (200, [json.dumps(said).encode()])
    gateway = await app([WITH_OUTPUT, lines(line(1)), ok], openai_account(), budget((COST - 1000) / 10**9))
    chat = {"model": "a/m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}

    await read(gateway)
    await settled()
    refused = await request(gateway, "POST", "/v1/chat/completions", chat, headers=ANA)
    allowed = await request(gateway, "POST", "/v1/chat/completions", chat, headers=BO)

    assert (refused.status, allowed.status) == (429, 200)
    (entry,) = [each for each in gateway.admission.ledger.entries if each.request_id == "batch-1@a"]
    assert [(charge.hold.scope, charge.amount) for charge in entry.charges] == [("user:ana@example.com", COST)]


@pytest.mark.parametrize(
    ("fields", "model"),
    [({"model": "gpt-6", "usage": USAGE}, "a/gpt-6"), ({"usage": USAGE}, "a/"), ({"model": 7, "usage": USAGE}, "a/")],
)
async def test_whose_price_nobody_knows_is_not_free(app, settled, fields, model):
    gateway = await app([batch("completed", **fields)], openai_account())

    await read(gateway)
    await settled()

    (entry,) = gateway.admission.ledger.bills
    assert (entry.model, entry.bill, gateway.admission.unpriced) == (model, None, 1)


@pytest.mark.parametrize(
    "usage", [None, {}, {"input_tokens": 0, "output_tokens": 0}, "many", {"input_tokens": [1]}, [1]]
)
async def test_who_says_nothing_is_not_billed(app, settled, usage):
    """Or says what nobody understands: the caller gets his batch all the same."""
    gateway = await app([batch("failed", usage=usage)], openai_account())

    assert (await read(gateway))["status"] == "failed"
    await settled()

    assert gateway.admission.ledger.bills == []


async def test_the_longest_name_is_the_model(app):
    """`gpt-5-mini-2025-08-07` is no `gpt-5`."""
    manifest = openai_account()
    mini = {**manifest["integrations"][0], "name": "mini", "model_id": "gpt-5-mini"}
    manifest["integrations"].append(mini)
    gateway = await app([], manifest)
    targets = gateway.config.snapshot.targets

    found = [
        target_of(targets, "a", name)
        for name in ("gpt-5", "gpt-5-2025-08-07", "gpt-5-mini-2025-08-07", "gpt-5-mini", "gpt-5-pro", "gpt", "")
    ]

    assert [each and each.name for each in found] == ["a/m", "a/m", "a/mini", "a/mini", None, None, None]
    assert target_of(targets, "b", "gpt-5") is None
