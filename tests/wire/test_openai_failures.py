"""Answers with status 200 that are errors, as those in front of a provider write them: each API reads all shapes."""

import pytest

from gateway.errors import BrokeOff, Refused
from gateway.translators.said import completion_of
from gateway.wire.gemini import GenerateReading
from gateway.wire.messages import MessageReading
from gateway.wire.openai import read_body
from gateway.wire.responses import ResponseReading

APIS = {
    "chat": read_body,
    "translated chat": completion_of,
    "gemini": lambda body: GenerateReading().document(body),
    "messages": lambda body: MessageReading().document(body),
    "responses": lambda body: ResponseReading().document(body),
}
SHAPES = {
    "of OpenAI": b'{"error":{"message":"slow down","code":429}}',
    "of Spring": b'{"timestamp":"t","status":429,"error":"Too Many Requests","message":"slow down","path":"/"}',
    "with the status beside": b'{"error":"slow down","status":429}',
    "in a list": b'[{"error":{"message":"slow down","code":429}}]',
    "several": b'{"errors":[{"message":"slow down","code":429}]}',
    "of RFC 9457": b'{"type":"about:blank","title":"slow down","status":429}',
    "at the top": b'{"message":"slow down","code":429}',
    "called an object": b'{"object":"error","message":"slow down","code":429}',
    "with NaN": b'{"message":"slow down","code":429,"retry":NaN,"success":false}',
}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("shape", SHAPES)
def test_an_error_of_any_shape(api, shape):
    """Each API knew other shapes; of the rest, callers were told that it is no answer, with 502 in place of 429."""
    with pytest.raises(Refused) as refused:
        APIS[api](SHAPES[shape])

    assert (refused.value.status, refused.value.message) == (429, "slow down")


@pytest.mark.parametrize(
    ("api", "is_passed_on"),
    [("chat", True), ("translated chat", False), ("gemini", True), ("messages", False), ("responses", True)],
)
def test_an_error_in_the_words_of_the_api_is_passed_on(api, is_passed_on):
    """And in those of another API, or of a proxy, it is not."""
    with pytest.raises(Refused) as refused:
        APIS[api](SHAPES["of OpenAI"])
    with pytest.raises(Refused) as others:
        APIS[api](SHAPES["at the top"])

    assert (refused.value.body, others.value.body) == (SHAPES["of OpenAI"] if is_passed_on else None, None)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("body", [b'"slow down"', b"[]", b"<html>"])
def test_what_says_nothing_is_no_answer(api, body):
    with pytest.raises(BrokeOff, match="the provider's answer is n"):
        APIS[api](body)
