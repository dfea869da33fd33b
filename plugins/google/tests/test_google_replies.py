"""Answers of generateContent, whole and streamed, as chat completions that OpenAI's own types accept."""

import json

import msgspec
import pytest
from gateway_google.translator import ToGemini
from google.genai import types
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.contract import Head
from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, Refused
from gateway.testing import growth

USED = {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}
HEAD = {"responseId": "r1", "modelVersion": "gemini-x", "usageMetadata": USED}
FORMAT = {"response_format": {"type": "json_object"}}


def reply(*parts, finish="STOP", **candidate):
    content = {"role": "model", "parts": list(parts)}
    return {**HEAD, "candidates": [{"content": content, "finishReason": finish, "index": 0, **candidate}]}


def event(*parts, finish=None, **candidate):
    said = reply(*parts, **candidate)
    if finish is None:
        del said["candidates"][0]["finishReason"]
    else:
        said["candidates"][0]["finishReason"] = finish
    return said


def events(*said):
    """As Google writes them: with CR LF, and no `[DONE]`."""
    return b"".join(b"data: %b\r\n\r\n" % msgspec.json.encode(each) for each in said)


@pytest.fixture
def whole(chat, translator, head):
    """The completion of an answer, whatever pieces it comes in; and the reading."""

    def read(said, **fields):
        types.GenerateContentResponse.model_validate(said)
        reading = translator.reading(chat(**fields), head)
        body = json.dumps(said, indent=1).encode()
        assert reading.feed(body[:20]) == reading.feed(body[20:]) == b""
        completion = json.loads(reading.end())
        ChatCompletion.model_validate(completion)
        assert reading.is_complete()
        return completion, reading

    return read


@pytest.fixture
def streamed(chat, translator, stream_head):
    def read(*said, size=None, **fields):
        for each in said:
            types.GenerateContentResponse.model_validate(each)
        reading = translator.reading(chat(stream=True, stream_options={"include_usage": True}, **fields), stream_head)
        data = events(*said)
        size = size or len(data)
        out = b"".join(reading.feed(data[start : start + size]) for start in range(0, len(data), size))
        return chunks_of(out + reading.end()), reading

    return read


def chunks_of(stream):
    """The invariants of a stream: one id, one role, one finish of each choice, one `[DONE]` and nothing behind it."""
    *said, done, rest = stream.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    chunks = [json.loads(each.removeprefix("data: ")) for each in said]
    finished = set()
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
        assert (chunk["id"], chunk["model"], chunk["created"]) == ("r1", "gemini-x", 5)
        for choice in chunk["choices"]:
            assert choice["index"] not in finished
            if choice["finish_reason"] is not None:
                finished.add(choice["index"])
    assert finished
    return chunks


def message_of(chunks, index=0):
    """What the deltas of a choice come to, and its finish reason."""
    message, finish = {}, None
    for choice in (choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index):
        for name, value in choice["delta"].items():
            if name == "tool_calls":
                for call in value:
                    calls = message.setdefault(name, [])
                    assert call["index"] == len(calls)
                    calls.append({key: part for key, part in call.items() if key != "index"})
            else:
                message[name] = message[name] + value if name in message else value
        finish = choice["finish_reason"] or finish
    return message, finish


def said_in(completion, index=0):
    choice = completion["choices"][index]
    message = {name: value for name, value in choice["message"].items() if value is not None}
    return message, choice["finish_reason"]


CALL = {"functionCall": {"name": "look", "args": {"at": "x", "n": [1, 2.5]}}}
SIGNED = {"functionCall": {"name": "see", "id": "g2", "args": {}}, "thoughtSignature": "c2ln"}
PICTURE = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}

CASES = {
    "text": ([{"text": "hel"}, {"text": "lo"}], "STOP", {"content": "hello"}, "stop"),
    "nothing": ([], "STOP", {"content": ""}, "stop"),
    "cut": ([{"text": "a"}], "MAX_TOKENS", {"content": "a"}, "length"),
    "cut before it began": ([], "MAX_TOKENS", {"content": ""}, "length"),
    "to be continued": ([{"text": "a"}], "CONTINUATION", {"content": "a"}, "length"),
    "unsafe": ([{"text": "a"}], "SAFETY", {"content": "a"}, "content_filter"),
    "copied": ([], "RECITATION", {"content": ""}, "content_filter"),
    "model armor": ([], "MODEL_ARMOR", {"content": ""}, "content_filter"),
    "calls": (
        [CALL, SIGNED],
        "STOP",
        {
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "look", "arguments": '{"at":"x","n":[1,2.5]}'},
                },
                {
                    "id": "g2",
                    "type": "function",
                    "function": {"name": "see", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "c2ln"}},
                },
            ]
        },
        "tool_calls",
    ),
    "thoughts": (
        [{"text": "th", "thought": True}, {"text": "ink", "thought": True}, {"text": "a", "thoughtSignature": "c2ln"}],
        "STOP",
        {
            "content": "a",
            "reasoning_content": "think",
            "thinking_blocks": [{"type": "thinking", "thinking": "think", "signature": "gemini:c2ln"}],
        },
        "stop",
    ),
    "a thought that is sealed": (
        [{"text": "t", "thought": True, "thoughtSignature": "c2ln"}, {"text": "a"}],
        "STOP",
        {
            "content": "a",
            "reasoning_content": "t",
            "thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "gemini-thought:c2ln"}],
        },
        "stop",
    ),
    "a signature at the end": (
        [{"text": "a"}, {"text": "", "thoughtSignature": "c2ln"}],
        "STOP",
        {"content": "a", "thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "gemini:c2ln"}]},
        "stop",
    ),
    "code": (
        [
            {"executableCode": {"language": "PYTHON", "code": "1+1"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
        ],
        "STOP",
        {"content": "\n```python\n1+1\n```\n\n```\n2\n```\n"},
        "stop",
    ),
    "a picture": (
        [{"text": "a"}, PICTURE],
        "STOP",
        {
            "content": "a",
            "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
        },
        "stop",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_whole(whole, case):
    parts, finish, message, reason = case

    completion, reading = whole(reply(*parts, finish=finish))

    assert said_in(completion) == ({"role": "assistant", **message}, reason)
    assert (completion["id"], completion["model"], completion["created"]) == ("r1", "gemini-x", 5)
    assert reading.usage() == Usage(input=7, output=3)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_streamed_and_cut_at_every_byte(streamed, case):
    parts, finish, message, reason = case
    said = [*(event(part) for part in parts), event(finish=finish)]

    chunks, reading = streamed(*said, size=1)

    assert message_of(chunks) == ({"role": "assistant", "content": "", **message}, reason)
    assert (reading.usage(), reading.is_complete(), reading.is_over) == (Usage(input=7, output=3), True, True)


@pytest.mark.parametrize("size", [2, 3, 7, 64, 1000])
def test_streamed_in_pieces_of_any_size(chat, translator, stream_head, size):
    data = events(event({"text": "hé"}), event({"text": "t", "thought": True}), event(SIGNED), event(finish="STOP"))
    call = chat(stream=True)
    one, other = translator.reading(call, stream_head), translator.reading(call, stream_head)

    out = b"".join(one.feed(data[start : start + size]) for start in range(0, len(data), size)) + one.end()

    assert out == other.feed(data) + other.end()


def test_each_answer_of_several(whole, streamed):
    candidates = [
        {"index": index, "content": {"parts": [{"text": text}]}, "finishReason": "STOP"}
        for index, text in [(1, "b"), (0, "a")]
    ]

    completion, _ = whole({**HEAD, "candidates": candidates})
    chunks, _ = streamed({**HEAD, "candidates": candidates})

    assert [said_in(completion, index)[0]["content"] for index in (0, 1)] == ["a", "b"]
    assert [message_of(chunks, index)[0]["content"] for index in (0, 1)] == ["a", "b"]


def test_an_answer_that_is_a_call_of_the_answer_tool(whole, streamed):
    call = {"functionCall": {"name": "answer_in_json", "args": {"a": 1}}}

    completion, _ = whole(reply(call), **FORMAT)
    chunks, _ = streamed(event(call), event(finish="STOP"), **FORMAT)

    assert said_in(completion) == ({"role": "assistant", "content": '{"a":1}'}, "stop")
    assert message_of(chunks) == ({"role": "assistant", "content": '{"a":1}'}, "stop")


def test_a_finish_in_each_event_ends_nothing(streamed):
    """Older models write it so, and what came behind the first was lost."""
    chunks, _ = streamed(event({"text": "a"}, finish="STOP"), event({"text": "b"}, finish="STOP"))

    assert message_of(chunks) == ({"role": "assistant", "content": "ab"}, "stop")


@pytest.mark.parametrize("finish", ["STOP", None])
def test_another_apis_last_event_ends_nothing_by_itself(translator, chat, stream_head, finish):
    """Of proxies in front of Google: the answer broke off at it."""
    reading = translator.reading(chat(stream=True), stream_head)
    out = reading.feed(events(event({"text": "a"}, finish=finish)) + b"data: [DONE]\n\n") + reading.end()

    assert (b'"content":"a"' in out, reading.is_complete()) == (True, finish is not None)


def test_an_empty_reason_is_none(translator, chat, stream_head):
    """Proxies in front of Google write it in each event: it was a failure of the model."""
    reading = translator.reading(chat(stream=True), stream_head)
    first, last = (events(event({"text": text}, finish="STOP")) for text in ("a", "b"))

    out = reading.feed(first.replace(b'"STOP"', b'""')) + reading.feed(last) + reading.end()

    assert (b'"content":"a"' in out, b'"content":"b"' in out, reading.is_complete()) == (True, True, True)


def test_a_blocked_prompt_is_a_refusal(whole, streamed):
    """It has no candidates, and its tokens are paid for."""
    used = {"promptTokenCount": 7, "totalTokenCount": 7}
    said = {**HEAD, "usageMetadata": used, "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}

    completion, reading = whole(said)
    chunks, stream = streamed(said)

    refusal = "The prompt was blocked (PROHIBITED_CONTENT)."
    assert said_in(completion) == ({"role": "assistant", "refusal": refusal}, "content_filter")
    assert message_of(chunks) == ({"role": "assistant", "content": "", "refusal": refusal}, "content_filter")
    assert reading.usage() == stream.usage() == Usage(input=7)


@pytest.mark.parametrize(
    ("parts", "finish"),
    [
        ([], "MALFORMED_FUNCTION_CALL"),
        ([{"text": "a"}], "MALFORMED_FUNCTION_CALL"),
        ([], "UNEXPECTED_TOOL_CALL"),
        ([], "OTHER"),
        ([], "NO_IMAGE"),
        ([], "SOMETHING_NEW"),
    ],
)
def test_a_model_that_failed_is_an_error(chat, translator, head, stream_head, parts, finish):
    """As `stop` it would be an empty answer, and agents would wait for calls that never come (envoy#2399)."""
    said = reply(*parts, finish=finish, finishMessage="why")
    document = translator.reading(chat(), head)
    stream = translator.reading(chat(stream=True), stream_head)
    document.feed(msgspec.json.encode(said))

    with pytest.raises(BrokeOff, match=rf"failed to finish its answer \({finish}\): why"):
        document.end()
    out = stream.feed(events(said))
    with pytest.raises(BrokeOff, match=finish):
        stream.end()
    assert (b'"content":"a"' in out, stream.has_begun) == (bool(parts), bool(parts))
    assert document.usage() == stream.usage() == Usage(input=7, output=3)


def test_what_came_before_a_failure_of_another_kind_is_of_use(whole, streamed):
    assert said_in(whole(reply({"text": "a"}, finish="OTHER"))[0])[1] == "length"
    assert message_of(streamed(event({"text": "a"}, finish="OTHER"))[0])[1] == "length"


def test_a_stream_without_a_finish_is_not_complete(chat, translator, stream_head):
    reading = translator.reading(chat(stream=True), stream_head)

    out = reading.feed(events(event({"text": "a"}))) + reading.end()

    assert (b"[DONE]" in out, reading.is_complete(), reading.has_begun) == (False, False, True)


ERROR = {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize("said", [ERROR, [ERROR]])
def test_an_error_in_place_of_an_answer(chat, translator, head, stream_head, said):
    document = translator.reading(chat(), head)
    document.feed(msgspec.json.encode(said))

    with pytest.raises(Refused) as whole:
        document.end()
    with pytest.raises(Refused) as streamed:
        translator.reading(chat(stream=True), stream_head).feed(events(said))

    for error in (whole.value, streamed.value):
        assert (error.message, error.status, error.code) == ("busy", 503, "UNAVAILABLE")


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"candidates":7}', b"[" * 5000, b'"x"'])
def test_what_is_no_answer(chat, translator, head, body):
    reading = translator.reading(chat(), head)
    reading.feed(body)

    with pytest.raises(BrokeOff):
        reading.end()


# --- where it is from --------------------------------------------------------

GROUNDED = {
    "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}, {"web": {"uri": "https://b", "title": "B"}}],
    "groundingSupports": [
        {"segment": {"startIndex": 3, "endIndex": 6, "text": "bcd"}, "groundingChunkIndices": [0]},
    ],
    "webSearchQueries": ["q", "r"],
}


def cite(url, title, start, end):
    return {
        "type": "url_citation",
        "url_citation": {"url": url, "title": title, "start_index": start, "end_index": end},
    }


def test_what_was_found_is_cited(whole, streamed):
    """Google counts in bytes, and OpenAI in characters. A source that no part of the answer is from is told as well."""
    cites = [cite("https://a", "A", 2, 5), cite("https://b", "B", 5, 5)]

    completion, reading = whole(reply({"text": "éabcd"[:2]}, {"text": "bcd"}, groundingMetadata=GROUNDED))
    chunks, stream = streamed(event({"text": "éa"}), event({"text": "bcd"}, finish="STOP", groundingMetadata=GROUNDED))

    assert said_in(completion)[0]["annotations"] == message_of(chunks)[0]["annotations"] == cites
    assert reading.usage() == stream.usage() == Usage(input=7, output=3, searches=2)


def test_what_was_quoted_is_cited(whole):
    citations = {"citations": [{"startIndex": 0, "endIndex": 1, "uri": "https://a"}, {"startIndex": 1, "endIndex": 2}]}

    completion, _ = whole(reply({"text": "ab"}, citationMetadata=citations))

    assert said_in(completion)[0]["annotations"] == [cite("https://a", "", 0, 1)]


def test_logprobs(whole, streamed):
    result = {
        "chosenCandidates": [{"token": "é", "tokenId": 1, "logProbability": -0.5}],
        "topCandidates": [
            {"candidates": [{"token": "é", "logProbability": -0.5}, {"token": "b", "logProbability": -2}]}
        ],
    }
    told = {
        "token": "é",
        "logprob": -0.5,
        "bytes": [195, 169],
        "top_logprobs": [
            {"token": "é", "logprob": -0.5, "bytes": [195, 169]},
            {"token": "b", "logprob": -2.0, "bytes": [98]},
        ],
    }

    completion, _ = whole(reply({"text": "é"}, logprobsResult=result))
    chunks, _ = streamed(event({"text": "é"}, finish="STOP", logprobsResult=result))

    logprobs = {"content": [told], "refusal": None}
    assert completion["choices"][0]["logprobs"] == logprobs
    assert logprobs in [choice["logprobs"] for chunk in chunks for choice in chunk["choices"]]


# --- usage -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({"promptTokenCount": 7, "candidatesTokenCount": 3}, Usage(input=7, output=3)),
        ({"promptTokenCount": 7, "cachedContentTokenCount": 5, "totalTokenCount": 7}, Usage(input=2, cache_read=5)),
        (
            {"promptTokenCount": 7, "candidatesTokenCount": 3, "thoughtsTokenCount": 4, "totalTokenCount": 14},
            Usage(input=7, output=3, reasoning=4),
        ),
        (
            {"promptTokenCount": 7, "candidatesTokenCount": 7, "thoughtsTokenCount": 4, "totalTokenCount": 14},
            Usage(input=7, output=3, reasoning=4),
        ),
        (
            {"promptTokenCount": 7, "toolUsePromptTokenCount": 100, "candidatesTokenCount": 3, "totalTokenCount": 110},
            Usage(input=107, output=3),
        ),
        (
            {
                "promptTokenCount": 100,
                "cachedContentTokenCount": 30,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 40},
                    {"modality": "AUDIO", "tokenCount": 50},
                    {"modality": "IMAGE", "tokenCount": 10},
                ],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}],
                "candidatesTokenCount": 20,
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 15}],
            },
            Usage(input=40, cache_read=30, audio_input=20, image_input=10, output=5, image_output=15),
        ),
        (
            {
                "promptTokenCount": 5,
                "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 9}],
                "totalTokenCount": 5,
            },
            Usage(audio_input=5),
        ),
        ({"promptTokenCount": 7, "totalTokenCount": 10}, Usage(input=7, output=3)),
    ],
)
def test_usage_in_classes_that_do_not_overlap(whole, streamed, said, usage):
    """LL#14849: cached tokens were billed twice. Classes sum to the total."""
    completion, reading = whole({**reply({"text": "a"}), "usageMetadata": said})
    _, stream = streamed(
        {**event({"text": "a"}), "usageMetadata": {"promptTokenCount": 1}},
        {**event(finish="STOP"), "usageMetadata": said},
    )

    assert reading.usage() == stream.usage() == usage
    assert completion["usage"]["total_tokens"] == usage.input_tokens + usage.output_tokens
    if "totalTokenCount" in said:
        assert said["totalTokenCount"] == usage.input_tokens + usage.output_tokens


@pytest.mark.parametrize(
    ("said", "headers", "tier"),
    [
        ({"trafficType": "ON_DEMAND"}, {}, "default"),
        ({"trafficType": "ON_DEMAND_FLEX"}, {}, "flex"),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, {}, "provisioned_throughput"),
        ({}, {"x-gemini-service-tier": "priority"}, "priority"),
        ({}, {"x-gemini-service-tier": "standard"}, "default"),
        ({}, {}, None),
    ],
)
def test_the_tier_is_the_one_that_was_used(chat, translator, said, headers, tier):
    call = chat(service_tier="flex")
    reading = translator.reading(call, Head(200, headers))
    reading.feed(msgspec.json.encode({**reply({"text": "a"}), "usageMetadata": {**USED, **said}}))

    assert (json.loads(reading.end()).get("service_tier"), reading.service_tier()) == (tier, tier)


# --- and back again ----------------------------------------------------------


@pytest.mark.parametrize("name", ["calls", "thoughts", "a thought that is sealed", "a signature at the end"])
def test_signatures_survive_the_round_trip(whole, sent, name):
    """LL#16893, #25322, #18570: each part goes back with the signature it came with."""
    parts = CASES[name][0]
    completion, _ = whole(reply(*parts))
    message = completion["choices"][0]["message"]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "x"} for call in message.get("tool_calls") or ()]

    body, dropped = sent("gemini-3-pro", messages=[{"role": "user", "content": "hi"}, message, *results])

    back = body["contents"][1]["parts"]
    signatures = [part["thoughtSignature"] for part in parts if "thoughtSignature" in part]
    assert [part["thoughtSignature"] for part in back if "thoughtSignature" in part] == signatures
    assert dropped == ()


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({"promptTokenCount": "7", "candidatesTokenCount": 3.0, "totalTokenCount": "10"}, Usage(input=7, output=3)),
        ({"promptTokenCount": 7, "candidatesTokenCount": 3, "promptTokensDetails": {}}, Usage(input=7, output=3)),
        ({"promptTokenCount": 10**30, "candidatesTokenCount": 3}, Usage(input=10**9, output=3)),
        ({"promptTokenCount": 7}, Usage(input=7, untold="output")),
        ({"candidatesTokenCount": 3}, Usage(output=3, untold="input")),
        ({}, None),
        ([], None),
        ("none", None),
    ],
)
def test_odd_usage_costs_only_itself(translator, chat, head, said, usage):
    """Imitations of the API write it so: the whole answer was refused with 502."""
    reading = translator.reading(chat(), head)
    reading.feed(msgspec.json.encode({**reply({"text": "a"}), "usageMetadata": said}))

    assert json.loads(reading.end())["choices"][0]["message"]["content"] == "a"
    assert reading.usage() == usage


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ({}, BrokeOff, "none of Google's"),
        ({"detail": "the model is loading"}, Refused, "the model is loading"),
        ({"message": "slow down", "status": 429}, Refused, "slow down"),
        ({"success": False, "result": None}, Refused, "the provider answered with an error"),
    ],
)
def test_a_document_with_nothing_of_an_answer_is_none(translator, chat, head, said, kind, message):
    """It was an empty answer, billed as one of 500 tokens."""
    reading = translator.reading(chat(), head)
    reading.feed(msgspec.json.encode(said))

    with pytest.raises(kind, match=message):
        reading.end()


@pytest.mark.parametrize(
    ("pieces", "raised", "message"),
    [
        ([b'{"error":{"code":429,"message":"slow down"}}'], Refused, "slow down"),
        ([b"<html></html>"], BrokeOff, "none of Google's"),
        ([b": ping\n\n"], BrokeOff, "before it began"),
        ([], BrokeOff, "before it began"),
    ],
)
def test_a_stream_without_events_is_a_status(translator, chat, stream_head, pieces, raised, message):
    """It was a stream with an error in it, whose input was billed; and no other target was asked."""
    reading = translator.reading(chat(stream=True), stream_head)

    with pytest.raises(raised, match=message):
        b"".join([*(reading.feed(piece) for piece in pieces), reading.end()])


@pytest.mark.parametrize(
    "change",
    [
        lambda stream: stream.rstrip(),
        lambda stream: b"\xef\xbb\xbf" + stream,
        lambda stream: stream.replace(b'"a"', b'"\\ud83d"'),
        lambda stream: stream.replace(b'"index":0', b'"index":0,"avgLogprobs":NaN'),
    ],
    ids=["no blank line at the end", "byte order mark", "half a surrogate pair", "NaN"],
)
def test_a_stream_is_read_as_clients_read_it(translator, chat, stream_head, change):
    """Each of them was an answer that had broken off, or none at all."""
    reading = translator.reading(chat(stream=True), stream_head)

    reading.feed(change(events(event({"text": "a"}), event(finish="STOP"))))
    reading.end()

    assert (reading.is_complete(), reading.usage()) == (True, Usage(input=7, output=3))


def test_an_error_behind_content_is_the_provider_breaking_off(translator, chat, stream_head):
    """It was logged as a refusal, though the answer had begun; the target's health was not told."""
    reading = translator.reading(chat(stream=True), stream_head)
    reading.feed(events(event({"text": "a"})))

    with pytest.raises(BrokeOff, match="too busy"):
        reading.feed(events({"error": {"code": 503, "message": "too busy"}}))


SUPPORT = {"segment": {"startIndex": 0, "endIndex": 1}, "groundingChunkIndices": [0]}
GROUND = {"web": {"uri": "https://a.example", "title": "t"}}


def candidate(*parts, index=0, **more):
    return {"index": index, "content": {"role": "model", "parts": list(parts)}, **more}


@pytest.mark.parametrize(
    "candidates",
    [
        pytest.param(lambda n: [candidate(*n * [{"text": "x"}])], id="parts"),
        pytest.param(lambda n: [candidate(*n * [{"text": "x", "thought": True}])], id="thoughts"),
        pytest.param(lambda n: n * [candidate({"text": "x"})], id="candidates"),
        pytest.param(
            lambda n: [candidate({"text": "x"}, index=i, finishReason="STOP") for i in range(n)], id="choices"
        ),
        pytest.param(
            lambda n: [
                candidate(
                    {"text": "x"},
                    finishReason="STOP",
                    groundingMetadata={"groundingChunks": [GROUND], "groundingSupports": n * [SUPPORT]},
                )
            ],
            id="what it stands on",
        ),
    ],
)
def test_an_event_takes_time_for_what_is_in_it_and_no_more(chat, stream_head, candidates):
    """One of 4 MB, which anybody's server may send, held the event loop for a quarter of an hour: all that had been
    written before was copied for each part."""
    asked = chat(stream=True)

    def work(size):
        event = b"data: %b\n\n" % msgspec.json.encode({"candidates": candidates(size)})
        reading = ToGemini().reading(asked, stream_head)
        return lambda: (reading.feed(event), reading.end())

    assert growth(work, small=1500) < 24


def odd(finish):
    """With null in each place where Google leaves a field out."""
    part = {"text": "a", "thought": None, "thoughtSignature": None, "functionCall": None, "inlineData": None}
    candidate = {
        "content": {"role": "model", "parts": [part, None, {"text": None}]},
        "index": None,
        "finishReason": finish,
        "groundingMetadata": {"groundingChunks": None, "groundingSupports": None, "webSearchQueries": None},
        "citationMetadata": {"citations": None},
        "logprobsResult": {"chosenCandidates": None, "topCandidates": None},
    }
    return {**HEAD, "modelVersion": None, "responseId": None, "candidates": [candidate], "promptFeedback": None}


def test_null_says_nothing(chat, translator, head, stream_head):
    """An answer was lost for a null where Google leaves the field out."""
    whole = translator.reading(chat(), head)
    whole.feed(msgspec.json.encode(odd("STOP")))
    stream = translator.reading(chat(stream=True), stream_head)
    last = {**HEAD, "candidates": [{"content": {"parts": None}, "finishReason": "STOP"}]}
    told = stream.feed(events(odd(None), {"candidates": None}, last)) + stream.end()

    said = json.loads(whole.end())["choices"][0]
    assert (said["message"]["content"], said["finish_reason"]) == ("a", "stop")
    assert b'"content":"a"' in told
    assert stream.is_complete()
