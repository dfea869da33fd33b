"""Chat completions that a provider stores: found where they were made, by who made them."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.proxy.kept import KEPT_DAYS
from gateway.testing import get, post, request


def completion(id_, **fields):
    return {"id": id_, "object": "chat.completion", "model": "real-one", "choices": [], "metadata": {}, **fields}


def chat(**fields):
    return {"model": "one/m", "messages": [{"role": "user", "content": "hi"}], "store": True, **fields}


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", "", b""),
        ("POST", "", b'{"metadata":{"a":"b"}}'),
        ("DELETE", "", b""),
        ("GET", "/messages?order=asc", b""),
    ],
)
async def test_a_stored_completion_is_asked_for_where_it_was_made(app_of, ana, bob, method, path, sent, body):
    app, upstream = app_of(body(completion("chatcmpl-1")))
    await post(app, "/v1/chat/completions", chat(), headers=ana)

    theirs = await request(app, method, f"/v1/chat/completions/chatcmpl-1{path}", sent, headers=bob)
    own = await request(app, method, f"/v1/chat/completions/chatcmpl-1{path}", sent, headers=ana)

    asked = upstream.requests[-1]
    assert (theirs.status, own.status, len(upstream.requests)) == (404, 200, 2)
    assert asked.endpoint.head.startswith(f"{method} /v1/chat/completions/chatcmpl-1{path} ".encode())
    assert asked.body == sent


async def test_a_streamed_completion_is_remembered_by_its_first_event(app_of, ana, body, chunk):
    first = b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    app, _ = app_of((200, [first, chunk({}, "stop"), b"data: [DONE]\n\n"]), body(completion("chatcmpl-1")))

    await post(app, "/v1/chat/completions", chat(stream=True), headers=ana)

    assert (await get(app, "/v1/chat/completions/chatcmpl-1", headers=ana)).status == 200


async def test_lists_show_only_the_callers_own(app_of, ana, bob, body):
    """The account's own list would show everybody's."""
    made = [body(completion(f"chatcmpl-{number}", metadata={"n": str(number)})) for number in range(3)]
    app, upstream = app_of(*made, *made)
    for who in (ana, bob, ana):
        await post(app, "/v1/chat/completions", chat(), headers=who)

    listed = (await request(app, "GET", "/v1/chat/completions?limit=1", headers=ana)).json()
    next_ = (await request(app, "GET", f"/v1/chat/completions?after={listed['last_id']}", headers=ana)).json()

    assert ([each["id"] for each in listed["data"]], listed["has_more"]) == (["chatcmpl-0"], True)
    assert ([each["id"] for each in next_["data"]], next_["has_more"]) == (["chatcmpl-2"], False)
    assert [asked.endpoint.url.rpartition("/")[2] for asked in upstream.requests[3:]] == ["chatcmpl-0", "chatcmpl-2"]


async def test_a_completion_that_is_gone_at_its_account_is_left_out(app_of, ana, body):
    app, _ = app_of(body(completion("chatcmpl-1")), (404, [b'{"error":{"message":"no"}}']))
    await post(app, "/v1/chat/completions", chat(), headers=ana)

    assert (await get(app, "/v1/chat/completions", headers=ana)).json()["data"] == []
    assert (await get(app, "/v1/chat/completions/chatcmpl-1", headers=ana)).status == 404


async def test_a_completion_that_is_not_to_be_stored_is_not_remembered(app_of, ana, body):
    app, _ = app_of(body(completion("chatcmpl-1")))

    for store in (False, None):
        await post(app, "/v1/chat/completions", chat(store=store), headers=ana)

    assert (await get(app, "/v1/chat/completions/chatcmpl-1", headers=ana)).status == 404


def test_what_is_kept_is_kept_as_long_as_openai_does():
    assert timedelta(days=KEPT_DAYS) == datetime(2026, 1, 31, tzinfo=UTC) - datetime(2026, 1, 1, tzinfo=UTC)
