"""What is asked and answered is kept where the rules say so, up to a size, and costs nothing elsewhere."""

import pytest

from gateway.contract import Outcome
from gateway.proxy.content import MAX_BYTES, Beginning, ContentMiddleware
from gateway.proxy.exchange import Exchange
from gateway.testing import post


class Rules:
    def __init__(self, bodies="always", keeps=True):
        self.bodies = bodies
        self.keeps = keeps
        self.asked = []

    def keeps_bodies(self, choice, caller, metadata, wished):
        self.asked.append(wished)
        return self.keeps

    def redaction(self, choice, caller, metadata):
        return None


@pytest.mark.parametrize("sizes", [[10], [MAX_BYTES], [MAX_BYTES - 1, 5], [MAX_BYTES, 1], [MAX_BYTES + 1, 7]])
def test_the_beginning_is_kept(sizes):
    kept, passed = Beginning(), b""

    for number, size in enumerate(sizes):
        data = bytes([65 + number]) * size
        passed += data
        kept.chunk(data)
    kept.end(Outcome.COMPLETE)

    assert bytes(kept.data) == passed[:MAX_BYTES]
    assert kept.is_cut is (len(passed) > MAX_BYTES)


async def answered(rules):
    kept, observers = [], []

    async def app(scope, receive, send):
        observers[:] = Exchange.of(scope).observers
        for observer in observers:
            observer.chunk(b"answer")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"answer"})

    answer = await post(ContentMiddleware(app, rules=lambda: rules, keep=kept.append), "/", b"ask")
    assert answer.body == b"answer"
    return kept, observers


async def test_nothing_is_looked_at_where_nothing_is_kept():
    rules = Rules(bodies="never")

    assert await answered(rules) == ([], [])
    assert rules.asked == []


async def test_the_rules_decide():
    assert await answered(Rules(keeps=False)) == ([], [])
    [kept], [_] = await answered(Rules())
    assert (kept.output, kept.is_cut) == (b"answer", False)
