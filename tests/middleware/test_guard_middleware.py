"""GuardMiddleware, alone around a foreign app, and in the gateway's pipeline."""

import pytest

from gateway.contract import Call, Outcome, Request
from gateway.dialects import CHAT
from gateway.errors import Blocked
from gateway.middleware import GuardMiddleware
from gateway.proxy.exchange import Exchange
from gateway.testing import FakeUpstream, get, post

REPLY = b'{"choices":[]}'
ASK = {"model": "mock/m", "messages": []}


class Ends:
    def __init__(self):
        self.seen = []
        self.outcomes = []

    def chunk(self, data):
        self.seen.append(data)

    def end(self, outcome):
        self.outcomes.append(outcome)


class Watching:
    """A guard that attaches observers, or refuses."""

    def __init__(self, *observers, refuses=False):
        self.observers = observers
        self.refuses = refuses
        self.calls = []

    async def check(self, call):
        self.calls.append(call)
        if self.refuses:
            raise Blocked("not with us")
        return self.observers


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % len(Exchange.of(scope).observers)})


def asking(app, call):
    async def outer(scope, receive, send):
        Exchange.of(scope).call = call
        await app(scope, receive, send)

    return outer


async def test_guards_see_the_call_and_attach_observers():
    call = Call(CHAT, None, Request())
    guards = [Watching(Ends()), Watching(), Watching(Ends(), Ends())]

    answer = await get(asking(GuardMiddleware(hello, guards=guards), call), "/")

    assert answer.body == b"3"
    assert [guard.calls for guard in guards] == [[call]] * 3


async def test_one_that_refuses_is_the_last():
    guards = [Watching(refuses=True), Watching()]

    with pytest.raises(Blocked, match="not with us"):
        await get(asking(GuardMiddleware(hello, guards=guards), Call(CHAT, None, Request())), "/")

    assert guards[1].calls == []


async def test_requests_without_a_call_are_none_of_their_business():
    assert (await get(GuardMiddleware(hello, guards=[Watching(refuses=True)]), "/")).body == b"0"


async def test_observers_are_not_shared_between_requests():
    app = asking(GuardMiddleware(hello, guards=[Watching(Ends())]), Call(CHAT, None, Request()))

    assert [(await get(app, "/")).body for _ in range(3)] == [b"1"] * 3


async def test_a_blocked_request_is_a_400_and_goes_nowhere(app_with, auth, sink):
    upstream, ends = FakeUpstream((200, [REPLY])), Ends()
    app = app_with(upstream, guards=[Watching(ends), Watching(refuses=True)])

    answer = await post(app, "/v1/chat/completions", ASK, headers=auth)
    await app.close()

    assert (answer.status, answer.json()["error"]["type"]) == (400, "guardrail_checks_failed")
    assert upstream.requests == []
    assert (ends.seen, ends.outcomes) == ([], [Outcome.BLOCKED])
    assert [record.outcome for record in sink.records] == [Outcome.BLOCKED]


@pytest.mark.parametrize(
    ("reply", "seen", "outcome"),
    [
        ((200, [REPLY[:5], REPLY[5:]]), [REPLY], Outcome.COMPLETE),
        ((429, [b"{}"]), [], Outcome.REFUSED),
        ((200, [b"<html>"]), [], Outcome.UPSTREAM_BROKE),
        (ValueError("a fault"), [], Outcome.REFUSED),
    ],
    ids=["complete", "refused", "broke off", "fault"],
)
async def test_each_end_is_told_once(app_with, auth, reply, seen, outcome):
    ends = Ends()
    app = app_with(FakeUpstream(reply), guards=[Watching(ends)])

    await post(app, "/v1/chat/completions", ASK, headers=auth)

    assert (ends.seen, ends.outcomes) == (seen, [outcome])
