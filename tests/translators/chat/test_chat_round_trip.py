"""Whatever a translator says, a client can read; and what the client sends back is what was said."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.translators.chat import Answer, ChatChunks, ChatRequest, completion

texts = st.text(max_size=5)
steps = st.lists(
    st.tuples(
        st.sampled_from(["text", "reasoning", "refusal", "tool_call", "arguments", "thinking_block", "finish"]),
        st.integers(0, 2),
        texts,
    ),
    max_size=30,
)


class Heard:
    """What a client makes of one choice."""

    def __init__(self):
        self.said = {"content": "", "reasoning_content": "", "refusal": ""}
        self.blocks = []
        self.calls = []
        self.finish = None

    def chunk(self, choice):
        assert self.finish is None
        delta = choice["delta"]
        for name in self.said:
            self.said[name] += delta.get(name) or ""
        self.blocks += delta.get("thinking_blocks", [])
        for call in delta.get("tool_calls", []):
            if "id" in call:
                assert call["index"] == len(self.calls)
                self.calls.append("")
            self.calls[call["index"]] += call["function"]["arguments"]
        self.finish = choice["finish_reason"]


def say(chunks, heard, step, choice, text):
    """One step, and what has to be heard of it."""
    if step == "finish":
        heard.finish = heard.finish or "length"
        return chunks.finish("length", choice)
    if step == "arguments" and not heard.calls:
        return b""
    if heard.finish is None:
        match step:
            case "text":
                heard.said["content"] += text
            case "reasoning":
                heard.said["reasoning_content"] += text
            case "refusal":
                heard.said["refusal"] += text
            case "thinking_block":
                heard.blocks.append({"thinking": text})
            case "tool_call":
                heard.calls.append(text)
            case "arguments":
                heard.calls[-1] += text
    match step:
        case "tool_call":
            return chunks.tool_call("id", "f", text, choice=choice)
        case "thinking_block":
            return chunks.thinking_block({"thinking": text}, choice)
    return getattr(chunks, step)(text, choice)


@settings(max_examples=200)
@given(steps)
def test_a_stream_keeps_its_order_whatever_is_said(said):
    """LL#13373, LL#24176, agentgateway#1455: starts and ends that were no pairs, indexes that jumped, and two ends."""
    chunks = ChatChunks(id="c1", model="m", created_s=5, wants_usage=False)
    expected = {}
    stream = b""
    for step, choice, text in said:
        stream += say(chunks, expected.setdefault(choice, Heard()), step, choice, text)
    stream += chunks.end(None) + chunks.end(None)

    *events, done, rest = stream.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    heard = {}
    for event in events:
        chunk = json.loads(event.removeprefix("data: "))
        ChatCompletionChunk.model_validate(chunk, strict=True)
        [choice] = chunk["choices"]
        is_first = choice["index"] not in heard
        assert (choice["delta"].get("role") == "assistant") == is_first
        heard.setdefault(choice["index"], Heard()).chunk(choice)
    for index, choice in heard.items():
        wanted = expected.get(index, Heard())
        assert (choice.said, choice.blocks, choice.calls) == (wanted.said, wanted.blocks, wanted.calls)
        assert choice.finish == (wanted.finish or "stop")


arguments = st.dictionaries(texts, st.integers() | texts, max_size=2).map(json.dumps)
signatures = st.none() | texts.map(lambda text: {"google": {"thought_signature": text}})
calls = st.lists(st.tuples(st.text(min_size=1, max_size=5), arguments, signatures), max_size=3)
blocks = st.lists(st.tuples(texts, texts), max_size=3)


@settings(max_examples=100)
@given(texts, texts, blocks, calls)
def test_an_answer_comes_back_as_it_was(chat, text, reasoning, thought, called):
    """LL#16893, LL#25322: signatures were lost, and the vendor refused the next turn; LL#18201: so were calls beside
    others."""
    answer = Answer()
    answer.text(text)
    answer.reasoning(reasoning)
    for thinking, signature in thought:
        answer.thinking_block({"type": "thinking", "thinking": thinking, "signature": signature})
    for index, (name, given_arguments, extra) in enumerate(called):
        answer.tool_call(f"c{index}", name, given_arguments, extra)
    said = msgspec.json.decode(completion([answer], id="c1", model="m", created_s=5, usage=None))
    ChatCompletion.model_validate(said, strict=True)

    [message] = ChatRequest(chat(messages=[said["choices"][0]["message"]])).messages

    assert (message.text, message.reasoning_content or "") == (text, reasoning)
    assert [(block.thinking, block.signature) for block in message.thinking_blocks or ()] == thought
    read = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()]
    assert read == [(f"c{index}", name, given_arguments) for index, (name, given_arguments, _) in enumerate(called)]
    assert [call.extra_content for call in message.tool_calls or ()] == [extra for _, _, extra in called]


MARK = {"type": "ephemeral", "ttl": "1h"}


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "system", "content": [{"type": "text", "text": "a", "cache_control": MARK}]}]},
        {"messages": [{"role": "user", "content": "a", "cache_control": MARK}]},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "https://a.test/b"}, "cache_control": MARK}],
                }
            ]
        },
        {
            "messages": [{"role": "user", "content": "a"}],
            "tools": [{"type": "function", "function": {"name": "f"}, "cache_control": MARK}],
        },
    ],
)
def test_marks_for_the_cache_are_there_for_who_can_use_them(chat, fields):
    """envoyproxy/ai-gateway#2476: lost on the way, and each turn was paid for in full."""
    request = ChatRequest(chat(**fields))
    [message] = request.messages
    marks = [message.cache_control, *(part.cache_control for part in message.parts)]

    assert [mark for mark in (*marks, *(tool.cache_control for tool in request.tools)) if mark] == [MARK]


def test_null_is_as_if_it_were_not_there(chat):
    """LL of 2026-02-16: `encoding_format: null` was passed on as null, and refused by whoever had no such word."""
    names = ("stop", "tools", "tool_choice", "response_format", "reasoning_effort", "max_tokens", "n", "thinking")
    with_nulls, without = ChatRequest(chat(**dict.fromkeys(names))), ChatRequest(chat())

    for request in (with_nulls, without):
        said = (request.stop, request.tools, request.tool_choice.mode, request.response_format, request.max_tokens)
        assert said == ([], [], None, None, None)
        assert (request.choices, request.reasoning.is_asked_for, request.dropped_params) == (1, False, ())
