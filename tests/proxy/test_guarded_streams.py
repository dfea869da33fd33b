"""Answers that pass guardrails: whole and as streams, in each dialect, cut anywhere."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract import GuardrailSpec
from gateway.errors import BrokeOff
from gateway.guardrails.found import make
from gateway.manifests.guardrail_kinds import PiiConfig, RegexConfig, SecretsConfig, UserPattern
from gateway.proxy.held import HeldStream
from gateway.testing import FakeUpstream, post
from gateway.wire import sse

pytest.importorskip("re2")

SECRET = "AKIAIOSFODNN7EXAMPLQ"
TEXT = f"use {SECRET} now, mail ana@example.com or call +44 20 7946 0958 soon"
SAFE = "use [REDACTED] now, mail [EMAIL] or call [PHONENUMBER] soon"
ASK = {"model": "mock/m", "messages": [{"role": "user", "content": "hi"}], "stream": True}


def finders(*configs):
    specs = [GuardrailSpec(name="g/x", kind="regex", config=config, redacts=True) for config in configs]
    return [make(spec).finder for spec in specs]


FINDERS = finders(SecretsConfig(), PiiConfig())


def event(document, name=None):
    line = f"event: {name}\n" if name else ""
    return f"{line}data: {json.dumps(document)}\n\n".encode()


def chat(text):
    return event({"id": "c", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


def completions(text):
    return event({"id": "c", "choices": [{"index": 0, "text": text, "finish_reason": None}]})


def messages(text):
    delta = {"type": "text_delta", "text": text}
    return event({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")


def reasoning(text):
    return event({"choices": [{"index": 0, "delta": {"reasoning_content": text}}]})


def responses(text):
    return event({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text})


def chat_tool(text):
    call = {"index": 0, "function": {"arguments": text}}
    return event({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})


def messages_tool(text):
    delta = {"type": "input_json_delta", "partial_json": text}
    return event({"type": "content_block_delta", "index": 1, "delta": delta}, "content_block_delta")


def parts(text):
    return event({"choices": [{"index": 0, "delta": {"content": [{"type": "text", "text": text}]}}]})


TEXTS = {each.__name__: each for each in (chat, completions, messages, reasoning, responses, parts)}
TOOLS = {each.__name__: each for each in (chat_tool, messages_tool)}


def texts_in(value):
    """All that a client puts together, whatever it is called."""
    if isinstance(value, dict):
        names = ("content", "text", "delta", "reasoning_content", "arguments", "partial_json", "choices", "tool_calls")
        inner = [value[name] for name in (*names, "function") if name in value]
        return "".join(map(texts_in, inner))
    if isinstance(value, list):
        return "".join(map(texts_in, value))
    return value if isinstance(value, str) else ""


def said(stream):
    documents = [sse.data_of(each) for each in sse.EventSplitter().feed(stream)]
    return "".join(texts_in(json.loads(each)) for each in documents if each != b"[DONE]")


def held(chunks, using=FINDERS):
    stream = HeldStream(using)
    return [*(stream.feed(chunk) for chunk in chunks), stream.end()]


def cut(data, places):
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[begin:end] for begin, end in pairwise(edges)]


cuts = st.lists(st.integers(0, 10_000), max_size=12)


# --- what is held back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", TEXTS.values(), ids=TEXTS)
@settings(max_examples=40)
@given(in_events=cuts, in_chunks=cuts)
def test_nothing_of_a_secret_leaks_however_it_is_split(write, in_events, in_chunks):
    """Over events, and over chunks that end in the middle of one."""
    stream = b"".join(write(text) for text in cut(TEXT, in_events) if text)

    out = held(cut(stream, in_chunks))

    assert said(b"".join(out)) == SAFE
    sent = ""
    for each in out:  # what a client has at any time
        sent += said(each)
        assert SAFE.startswith(sent)


@pytest.mark.parametrize("write", TOOLS.values(), ids=TOOLS)
@settings(max_examples=30)
@given(in_events=cuts, in_chunks=cuts, is_ascii=st.booleans())
def test_arguments_of_tools_are_read_as_the_json_that_they_are(write, in_events, in_chunks, is_ascii):
    """Escapes included: `\\u0041KIA...` is a key as well. They go out when they are whole."""
    arguments = json.dumps({"key": SECRET, "list": ["é", "a\nana@example.com"], "card": 4111111111111111})
    if is_ascii:
        arguments = arguments.replace("AKIA", "\\u0041KIA").replace("@", "\\u0040")
    stream = b"".join(write(text) for text in cut(arguments, in_events) if text)

    out = said(b"".join(held(cut(stream, in_chunks))))

    assert json.loads(out) == {"key": "[REDACTED]", "list": ["é", "a\n[EMAIL]"], "card": "[CREDITCARDNUMBER]"}


@settings(max_examples=40)
@given(words=st.lists(st.text(max_size=12), max_size=20), in_chunks=cuts, write=st.sampled_from([*TEXTS.values()]))
def test_what_is_not_changed_is_the_same_to_the_byte(words, in_chunks, write):
    stream = b": comment\n\n" + b"".join(map(write, words)) + b"data: [DONE]\n\n"
    using = finders(RegexConfig(custom_patterns=(UserPattern(pattern="never-to-be-seen-[0-9]{9}"),)))

    assert b"".join(held(cut(stream, in_chunks), using)) == stream


def test_texts_that_alternate_are_each_put_together():
    """Two answers at once, and thoughts between: none of them completes what another has begun."""
    half, rest = SECRET[:9], SECRET[9:]
    stream = [
        event({"choices": [{"index": number, "delta": {name: text}}]})
        for text in (half, rest + " ")
        for name in ("content", "reasoning_content")
        for number in (0, 1)
    ]

    assert said(b"".join(held(stream))) == "[REDACTED]" * 4 + " " * 4


def test_prose_waits_for_one_word():
    """What is held back is no more than what may yet become something."""
    stream = HeldStream(FINDERS)

    assert said(stream.feed(chat("The quick brown fox"))) == ""
    assert said(stream.feed(chat(" jumps over"))) == "The quick brown fox"
    assert said(stream.feed(chat(" +44 20"))) == ""
    assert said(stream.feed(chat(" years"))) == " jumps over +44 20"
    assert said(stream.end()) == " years"


def test_a_text_that_does_not_go_on_holds_nobody_up_for_long():
    stream = HeldStream(FINDERS)
    out = stream.feed(reasoning("thinking"))
    for _ in range(40):
        out += stream.feed(chat("a word "))

    assert said(out).startswith("thinkinga word ")


def test_an_event_that_is_changed_says_nothing_by_its_tokens():
    document = {"choices": [{"index": 0, "delta": {"content": SECRET}, "logprobs": {"content": [{"token": SECRET}]}}]}

    out = b"".join(held([event(document) + chat(" x")]))

    assert SECRET.encode() not in out
    assert json.loads(sse.data_of(sse.EventSplitter().feed(out)[0]))["choices"][0]["logprobs"] is None


@pytest.mark.parametrize("place", range(3, len(SECRET) - 3))
def test_tokens_of_other_events_are_looked_at_by_themselves(place):
    """Log probabilities that came in events of their own repeated what was taken out of the text."""
    tokens = [[{"token": part}] for part in (f"use {SECRET[:place]}", f"{SECRET[place:]} now")]
    late = [event({"choices": [{"index": 0, "delta": {}, "logprobs": {"content": each}}]}) for each in tokens]

    out = b"".join(held([chat(TEXT), *late]))

    assert SECRET[:place].encode() not in out
    assert SECRET[place:].encode() not in out


def test_a_stream_that_is_replaced_as_a_whole_says_nothing_by_its_tokens():
    stream = HeldStream([], is_whole=True)
    late = event({"choices": [{"index": 0, "delta": {}, "logprobs": {"content": [{"token": SECRET}]}}]})
    stream.feed(chat(SECRET) + late)

    wording = stream.wording()
    wording.put({0: "[gone]"})

    assert SECRET.encode() not in stream.end()


@pytest.mark.parametrize("line_end", ["\r\n", "\r", "\n"])
def test_other_lines_of_an_event_stay(line_end):
    stream = f"id: 7{line_end}event: x{line_end}data: {json.dumps({'text': SECRET})}{line_end}{line_end}".encode()

    assert b"".join(held([stream])) == b'id: 7\nevent: x\ndata: {"text":"[REDACTED]"}\n\n'


def test_what_is_no_json_is_text():
    assert b"".join(held([f"data: it is {SECRET}\n\n".encode()])) == b"data: it is [REDACTED]\n\n"


def test_text_that_is_no_json_goes_on_in_the_next_event():
    out = b"".join(held([f"data: {part}\n\n".encode() for part in ("it is ", "AKIAIOSFODNN", "7", "EXAMPLQ", " ok")]))

    assert out == b"data: it is \n\ndata: [REDACTED]\n\ndata: \n\ndata: \n\ndata:  ok\n\n"


# --- through the app -------------------------------------------------------------------------------------------------

MODEL = {
    "type": "integration/model/self-hosted-model",
    "name": "m",
    "hosted_model_name": "real-m",
    "url": "http://127.0.0.1:9/v1",
    "model_server": "openai-compatible",
    "model_types": ["chat", "completion"],
}
ACCOUNT = {"type": "provider-account/self-hosted-model", "name": "mock", "integrations": [MODEL]}
END = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + b"data: [DONE]\n\n"
FAILED = "Output Guardrail checks failed for integrations: [safety/g]: "


@pytest.fixture
def guarded(app_with, tmp_path):
    """`guarded(upstream, integration, ...)`: an app whose model has these guardrails on its answers."""

    def make(upstream, *integrations, hook="llm_output", timeout_ms=5000):
        group = {"type": "provider-account/guardrail-config-group", "name": "safety"}
        lists = ("llm_input", "llm_output", "mcp_tool_pre_invoke", "mcp_tool_post_invoke")
        names = [f"safety/{each['name']}" for each in integrations]
        rule = {
            "id": "r",
            "when": {"target": {"conditions": {"model": {"condition": "in", "values": ["*"]}}}},
            **{f"{name}_guardrails": names if name == hook else [] for name in lists},
        }
        documents = [
            ACCOUNT,
            {**group, "integrations": integrations},
            {"type": "gateway-guardrails-config", "rules": [rule]},
            {"type": "gateway-global-settings", "name": "s", "guardrail_settings": {"timeout_ms": timeout_ms}},
        ]
        path = tmp_path / "guarded.yaml"
        path.write_text(json.dumps(documents))
        return app_with(upstream, path)

    return make


def integration(kind, name="g", operation="validate", strategy="enforce", **fields):
    return {
        "type": f"integration/guardrail-config/{kind}",
        "name": name,
        "operation": operation,
        "enforcing_strategy": strategy,
        **fields,
    }


SECRETS = integration("secret-detection")
REDACTS = integration("secret-detection", operation="mutate")
CUSTOM = integration("custom", target="response", config={"url": "http://127.0.0.1:9/check"})


def verdict(**said):
    return (200, [json.dumps(said).encode()])


def stream_of(*texts):
    return (200, [*map(chat, texts), END])


def results(record):
    return [(span.name, span.hook, span.result) for span in record.spans if span.kind == "guardrail"]


async def test_a_stream_is_redacted_and_ends_as_it_should(guarded, auth, sink):
    app = guarded(FakeUpstream(stream_of("it is ", SECRET[:7], SECRET[7:], ", keep it")), REDACTS)

    answer = await post(app, "/v1/chat/completions", ASK, headers=auth)
    await app.close()

    assert said(answer.body) == "it is [REDACTED], keep it"
    assert answer.body.endswith(END)
    assert answer.is_complete
    assert results(sink.records[0]) == [("safety/g", "llm_output", "mutated")]
    assert sink.records[0].spans[0].found == {"aws_access_key": 1}
    assert SECRET not in str(sink.records)


async def test_what_is_blocked_before_anything_went_out_is_a_status(guarded, auth, sink):
    app = guarded(FakeUpstream(stream_of(SECRET, " and more")), SECRETS)

    answer = await post(app, "/v1/chat/completions", ASK, headers=auth)
    await app.close()

    assert answer.status == 400
    said = answer.json()
    assert said["error"] == {
        "message": f"{FAILED}found aws_access_key",
        "type": "guardrail_checks_failed",
        "param": None,
        "code": "400",
    }
    assert said["guardrail_checks"] == {
        "input_guardrails": [],
        "output_guardrails": [
            {
                "guardrail_integration": "safety/g",
                "result": "failed",
                "data": {"explanation": "found aws_access_key"},
            }
        ],
    }
    assert sink.records[0].outcome == "blocked"


async def test_what_is_blocked_later_ends_with_an_error_event(guarded, auth):
    app = guarded(FakeUpstream(stream_of("some words ", "first, ", SECRET, " and more")), SECRETS)

    answer = await post(app, "/v1/chat/completions", ASK, headers=auth)

    assert answer.status == 200
    events = sse.EventSplitter().feed(answer.body)
    assert said(b"".join(events[:-1])) == "some words first, "
    assert json.loads(sse.data_of(events[-1]))["error"]["type"] == "guardrail_checks_failed"
    assert SECRET.encode() not in answer.body
    assert b"[DONE]" not in answer.body


async def test_a_provider_that_breaks_off_is_told_after_what_it_said(guarded, auth):
    upstream = FakeUpstream((200, [chat("hello wor"), chat("ld"), BrokeOff("cut")]))

    answer = await post(guarded(upstream, REDACTS), "/v1/chat/completions", ASK, headers=auth)

    events = sse.EventSplitter().feed(answer.body)
    assert said(b"".join(events[:-1])) == "hello world"
    assert json.loads(sse.data_of(events[-1]))["error"]["code"] == "stream_interrupted"


async def test_an_error_event_of_the_provider_is_not_lost(guarded, auth):
    """It is held with the words before it, and goes out once."""
    trouble = event({"error": {"message": "overheated", "type": "server_error"}})
    upstream = FakeUpstream((200, [chat("hello"), trouble]))

    answer = await post(guarded(upstream, REDACTS), "/v1/chat/completions", ASK, headers=auth)

    assert answer.body == chat("hello") + trouble


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_in_the_way_of_anthropic(guarded, auth, stream):
    """What the provider says in OpenAI's words is looked at in the caller's."""
    body = {"choices": [{"message": {"content": f"it is {SECRET}"}, "finish_reason": "stop"}], "usage": {}}
    reply = stream_of("it is ", SECRET) if stream else (200, [json.dumps(body).encode()])
    ask = {"model": "mock/m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "stream": stream}

    answer = await post(guarded(FakeUpstream(reply), REDACTS), "/v1/messages", ask, headers=auth)

    assert answer.status == 200
    assert SECRET.encode() not in answer.body
    assert b"it is [REDACTED]" in answer.body if not stream else said(answer.body).startswith("it is [REDACTED]")


async def test_a_whole_answer_is_redacted(guarded, auth):
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": json.dumps({"key": SECRET})}}
    message = {"role": "assistant", "content": f"it is {SECRET}", "tool_calls": [call]}
    body = {"id": SECRET, "choices": [{"index": 0, "message": message, "logprobs": {"content": [{"token": SECRET}]}}]}
    app = guarded(FakeUpstream((200, [json.dumps(body).encode()])), REDACTS)

    answer = await post(app, "/v1/chat/completions", {**ASK, "stream": False}, headers=auth)

    found = answer.json()["choices"][0]
    assert found["message"]["content"] == "it is [REDACTED]"
    assert json.loads(found["message"]["tool_calls"][0]["function"]["arguments"]) == {"key": "[REDACTED]"}
    assert found["logprobs"] is None
    assert answer.headers["content-length"] == str(len(answer.body))
    assert json.loads(answer.headers["x-tfy-applied-configurations"]) == {
        "guardrails": {
            "input_guardrails": [],
            "output_guardrails": [{"guardrail_integration": "safety/g", "result": "mutated"}],
        }
    }


async def test_an_answer_in_which_nothing_is_found_is_the_same_to_the_byte(guarded, auth):
    body = b'{ "choices" : [{"message":{"content":"hello"},"finish_reason":"stop"}], "x": 1.0 }'

    answer = await post(
        guarded(FakeUpstream((200, [body])), REDACTS), "/v1/chat/completions", {**ASK, "stream": False}, headers=auth
    )

    assert answer.body == body


async def test_a_large_answer_is_looked_at_whole(guarded, auth):
    body = json.dumps({"choices": [{"message": {"content": "x " * 400_000 + SECRET}, "finish_reason": "stop"}]})
    chunks = [body[at : at + 60_000].encode() for at in range(0, len(body), 60_000)]
    app = guarded(FakeUpstream((200, chunks, {"content-type": "application/json"})), REDACTS)

    answer = await post(app, "/v1/chat/completions", {**ASK, "stream": False}, headers=auth)

    assert answer.json()["choices"][0]["message"]["content"].endswith("x [REDACTED]")


# --- those that have to be asked --------------------------------------------------------------------------------------


async def test_a_stream_waits_for_who_has_to_be_asked(guarded, auth):
    upstream = FakeUpstream(stream_of("hello ", "world"), verdict(verdict=True))

    answer = await post(guarded(upstream, CUSTOM), "/v1/chat/completions", ASK, headers=auth)

    assert said(answer.body) == "hello world"
    assert upstream.asked()["responseBody"]["choices"][0]["message"]["content"] == "hello world"
    assert upstream.asked()["requestBody"]["messages"] == [{"role": "user", "content": "hi"}]


async def test_a_service_that_says_no(guarded, auth):
    upstream = FakeUpstream(stream_of("hello ", "world"), verdict(verdict=False, message="too friendly"))

    answer = await post(guarded(upstream, CUSTOM), "/v1/chat/completions", ASK, headers=auth)

    assert (answer.status, answer.json()["message"]) == (400, f"{FAILED}too friendly")


async def test_a_long_stream_is_asked_about_in_pieces(guarded, auth):
    """Each is shown with the end of the one before."""
    words = "".join(f"word{number} " for number in range(900))
    pieces = [words[at : at + 50] for at in range(0, len(words), 50)]
    upstream = FakeUpstream(stream_of(*pieces), verdict(verdict=True))

    answer = await post(guarded(upstream, CUSTOM), "/v1/chat/completions", ASK, headers=auth)

    shown = [
        json.loads(request.body)["responseBody"]["choices"][0]["message"]["content"]
        for request in upstream.requests[1:]
    ]
    assert said(answer.body) == words
    assert [len(each) for each in shown] == [2000, 2500, 2500, 1590]
    assert shown[1].startswith(shown[0][-500:])


async def test_a_service_that_changes_a_stream_gets_all_of_it(guarded, auth):
    changed = {"choices": [{"message": {"role": "assistant", "content": "goodbye"}}]}
    upstream = FakeUpstream(stream_of("hello ", "world"), verdict(verdict=True, transformed=True, result=changed))

    answer = await post(guarded(upstream, {**CUSTOM, "operation": "mutate"}), "/v1/chat/completions", ASK, headers=auth)

    assert said(answer.body) == "goodbye"
    assert answer.body.endswith(END)


@pytest.mark.parametrize(
    ("reply", "strategy", "status"),
    [
        ((500, [b"oops"]), "enforce", 400),
        ((500, [b"oops"]), "enforce_but_ignore_on_error", 200),
        ((500, [b"oops"]), "audit", 200),
        ((200, [b"<html>"]), "enforce", 400),
        ((200, [b"<html>"]), "enforce_but_ignore_on_error", 200),
        ((200, [b'{"verdict":"maybe"}']), "enforce", 400),
        ((200, [b'{"verdict":"maybe"}']), "audit", 200),
        ((200, [b'{"verdict":false}']), "enforce_but_ignore_on_error", 400),
        ((200, [b'{"verdict":false}']), "audit", 200),
        ((200, [b"x" * 2_000_000]), "enforce", 400),
        (BrokeOff("cut"), "enforce", 400),
        (BrokeOff("cut"), "enforce_but_ignore_on_error", 200),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_service_that_fails_or_answers_garbage(guarded, auth, reply, strategy, status, stream):
    body = b'{"choices":[{"message":{"content":"hello"},"finish_reason":"stop"}]}'
    answer_of = stream_of("hello") if stream else (200, [body])
    upstream = FakeUpstream(answer_of, reply)

    answer = await post(
        guarded(upstream, {**CUSTOM, "enforcing_strategy": strategy}),
        "/v1/chat/completions",
        {**ASK, "stream": stream},
        headers=auth,
    )

    assert answer.status == status
    assert b"oops" not in answer.body


@pytest.mark.parametrize(
    ("strategy", "status"), [("enforce", 400), ("enforce_but_ignore_on_error", 200), ("audit", 200)]
)
async def test_a_service_that_hangs(guarded, auth, strategy, status):
    import asyncio

    upstream = FakeUpstream(stream_of("hello"), (200, [asyncio.Event()]))

    answer = await post(
        guarded(upstream, {**CUSTOM, "enforcing_strategy": strategy}, timeout_ms=30),
        "/v1/chat/completions",
        ASK,
        headers=auth,
    )

    assert answer.status == status


async def test_what_only_audits_holds_nothing_up(guarded, auth, sink):
    """It is asked when all of the answer is out."""
    upstream = FakeUpstream(stream_of("hello ", SECRET), verdict(verdict=False, message="no"))
    audits = [{**SECRETS, "enforcing_strategy": "audit"}, {**CUSTOM, "name": "c", "enforcing_strategy": "audit"}]
    app = guarded(upstream, *audits)

    answer = await post(app, "/v1/chat/completions", ASK, headers=auth)
    await app.close()

    assert answer.body == b"".join([chat("hello "), chat(SECRET), END])
    assert sorted(results(sink.records[0])) == [
        ("safety/c", "llm_output", "flagged"),
        ("safety/g", "llm_output", "flagged"),
    ]
    assert upstream.asked()["responseBody"]["choices"][0]["message"]["content"] == f"hello {SECRET}"


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_of_the_responses_api(guarded, auth, stream):
    """Its last events repeat all that was said."""
    body = {"choices": [{"message": {"content": f"it is {SECRET}, yes"}, "finish_reason": "stop"}], "usage": {}}
    reply = stream_of("it is ", SECRET[:7], SECRET[7:], ", yes") if stream else (200, [json.dumps(body).encode()])
    ask = {"model": "mock/m", "input": "hi", "stream": stream, "store": False}

    answer = await post(guarded(FakeUpstream(reply), REDACTS), "/v1/responses", ask, headers=auth)

    assert answer.status == 200
    assert SECRET.encode() not in answer.body
    assert answer.body.count(b"it is [REDACTED], yes") == (4 if stream else 1)
