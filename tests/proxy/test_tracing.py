"""Providers learn which trace a request is part of, if the operator says so, and else nothing."""

import pytest

from gateway.testing import FakeUpstream, post

CHAT = "/v1/chat/completions"
ASK = {"model": "mock/m", "messages": []}
REPLY = (200, [b'{"choices":[]}'])
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GIVEN = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}


def sent(upstream):
    """Of the last request, the headers about traces."""
    lines = upstream.requests[-1].endpoint.head.decode().split("\r\n")
    return dict(line.split(": ", 1) for line in lines if line.startswith("trace"))


@pytest.fixture
def app_that_traces(app_with, token):
    def make(upstream, accounts, **environ):
        environ = {"GATEWAY_ADMIN_TOKEN": token, "GATEWAY_TRACED_ACCOUNTS": accounts, **environ}
        return app_with(upstream, environ=environ)

    return make


@pytest.mark.parametrize("accounts", ["", "other"])
async def test_nothing_is_told_without_being_asked_for(app_that_traces, auth, accounts):
    """Who asks what is nobody's business."""
    upstream = FakeUpstream(REPLY)

    await post(app_that_traces(upstream, accounts), CHAT, ASK, headers={**auth, **GIVEN})

    assert sent(upstream) == {}


@pytest.mark.parametrize("accounts", ["mock", "other, mock", "*"])
async def test_the_trace_of_the_caller_goes_on(app_that_traces, auth, sink, accounts):
    upstream = FakeUpstream(REPLY)
    app = app_that_traces(upstream, accounts)

    await post(app, CHAT, ASK, headers={**auth, **GIVEN})
    await app.close()

    [record] = sink.records
    span = f"{int(record.request_id[16:], 16) + 1:016x}"
    assert record.traceparent == GIVEN["traceparent"]
    assert sent(upstream) == {"traceparent": f"00-{TRACE}-{span}-01", "tracestate": "vendor=1"}


async def test_a_request_without_a_trace_begins_one(app_that_traces, auth, sink):
    """Its id is that of the request. A state without a trace is nobody's."""
    upstream = FakeUpstream(REPLY)
    app = app_that_traces(upstream, "*")

    await post(app, CHAT, ASK, headers={**auth, "tracestate": "vendor=1"})
    await app.close()

    [record] = sink.records
    span = f"{int(record.request_id[16:], 16) + 1:016x}"
    assert record.traceparent is None
    assert sent(upstream) == {"traceparent": f"00-{record.request_id}-{span}-01"}


async def test_traces_that_are_not_kept_are_told_to_be_so(app_that_traces, auth):
    upstream = FakeUpstream(REPLY)

    await post(app_that_traces(upstream, "*", OTEL_TRACES_SAMPLER="always_off"), CHAT, ASK, headers=auth)

    assert sent(upstream)["traceparent"].endswith("-00")


@pytest.mark.parametrize(
    "broken",
    [{"traceparent": "nonsense"}, {"traceparent": GIVEN["traceparent"], "tracestate": "é\x01"}, {"traceparent": ""}],
)
async def test_what_cannot_be_understood_is_as_if_it_were_not_there(app_that_traces, auth, broken):
    upstream = FakeUpstream(REPLY)

    answer = await post(app_that_traces(upstream, "*"), CHAT, ASK, headers={**auth, **broken})

    assert answer.status == 200
    assert sent(upstream).keys() == {"traceparent"}
