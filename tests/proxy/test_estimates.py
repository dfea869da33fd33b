"""Questions that the gateway answers by itself, where a provider cannot."""

import pytest

from gateway.testing import FakeUpstream, post

COUNT = "/v1/messages/count_tokens"
ASK = {"model": "mock/m", "messages": [{"role": "user", "content": "hi"}]}


async def test_tokens_are_counted_by_the_size_of_the_request(app_with, auth, sink):
    """Nobody is asked, nothing is billed, and no limit on tokens is touched."""
    upstream = FakeUpstream((200, [b"{}"]))
    app = app_with(upstream)

    answer = await post(app, COUNT, ASK, headers=auth)
    await app.close()

    assert (answer.status, answer.json()) == (200, {"input_tokens": 8})
    assert (upstream.requests, sink.records[0].usage, sink.records[0].outcome) == ([], None, "complete")


@pytest.mark.parametrize("body", [{"messages": []}, {"model": 5}, {"model": "mock/none", "messages": []}])
async def test_what_is_wrong_stays_wrong(app_with, auth, body):
    answer = await post(app_with(FakeUpstream((200, [b"{}"]))), COUNT, body, headers=auth)

    assert answer.status in (400, 404)
    assert answer.json()["type"] == "error"


async def test_other_questions_are_not_answered_here(app_with, auth):
    """An answer that no model has given would be none."""
    answer = await post(app_with(FakeUpstream((404, [b"{}"]))), "/v1/messages", ASK, headers=auth)

    assert answer.status == 404


async def test_who_may_not_ask_is_told_nothing(app_with):
    assert (await post(app_with(FakeUpstream((200, [b"{}"]))), COUNT, ASK)).status == 401
