"""OpenAI's SDK, unchanged but for its base URL and key; behind the gateway are llmock and a scripted provider."""

import asyncio
import json

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

HELLO = [{"role": "user", "content": "Say hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
def client(one_gateway, token, llmock):
    """The synchronous one; `llmock` begins afresh for each test."""
    with OpenAI(base_url=one_gateway.url, api_key=token) as client:
        yield client


@pytest.fixture
async def aclient(one_gateway, token):
    async with AsyncOpenAI(base_url=one_gateway.url, api_key=token, timeout=30) as client:
        yield client


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


# --- chat ------------------------------------------------------------------------------------------------------------


def test_chat(client, llmock):
    llmock.reply("Hello there")

    answer = client.chat.completions.create(model="llm/chat", messages=HELLO, temperature=0.5, user="ana")

    assert answer.choices[0].message.content == "Hello there"
    assert answer.usage.total_tokens > 0
    assert len(answer._request_id) == 32
    asked = llmock.last_request.body
    assert asked == {"messages": HELLO, "model": "real-chat", "temperature": 0.5, "user": "ana"}


async def test_chat_on_every_server(gateway, token, llmock):
    llmock.reply("one", times=None)

    async with AsyncOpenAI(base_url=gateway.url, api_key=token) as client:
        answer = await client.chat.completions.create(model="llm/chat", messages=HELLO)
        stream = await client.chat.completions.create(model="llm/chat", messages=HELLO, stream=True)
        chunks = [chunk async for chunk in stream]

    assert answer.choices[0].message.content == "one"
    assert text_of(chunks) == "one"


async def test_a_stream_that_was_read_to_its_end_is_complete(gateway, token, provider, say):
    """The SDK closes its connection as soon as it has read `[DONE]`: all of them were logged as clients that had left.
    The provider may leave its own open."""
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("one")), say.chunk(say.DONE), provider.STALL])

    def read():
        with OpenAI(base_url=gateway.url, api_key=token, timeout=30) as client:
            stream = client.chat.completions.create(model="mock/chat", messages=HELLO, stream=True)
            assert text_of(stream) == "one"
            return stream.response.headers["x-request-id"]

    ids = [await asyncio.to_thread(read) for _ in range(5)]

    records = [record for id_ in ids for record in await gateway.records_of(id_)]
    assert [(record["outcome"], record["status"]) for record in records] == 5 * [("complete", 200)]


def test_streamed_chat(client, llmock):
    llmock.reply("Hello over there")

    with client.chat.completions.create(model="llm/chat", messages=HELLO, stream=True) as stream:
        chunks = list(stream)

    assert text_of(chunks) == "Hello over there"
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_streamed_chat_async(aclient, llmock):
    llmock.reply("Hello over there")

    async with aclient.chat.completions.stream(model="llm/chat", messages=HELLO) as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_completion()

    assert final.choices[0].message.content == "Hello over there"


@pytest.mark.parametrize(("options", "usages"), [(None, 0), ({"include_usage": True}, 1)])
def test_usage_comes_only_when_it_was_asked_for(client, options, usages):
    """The gateway always asks for it; a client that did not must not find a chunk without choices."""
    extra = {"stream_options": options} if options else {}

    chunks = list(client.chat.completions.create(model="llm/chat", messages=HELLO, stream=True, **extra))

    assert sum(not chunk.choices for chunk in chunks) == usages
    assert sum(chunk.usage is not None for chunk in chunks) == usages


def test_several_choices(client):
    answer = client.chat.completions.create(model="llm/chat", messages=HELLO, n=2)
    chunks = list(client.chat.completions.create(model="llm/chat", messages=HELLO, n=2, stream=True))

    assert [choice.index for choice in answer.choices] == [0, 1]
    assert {choice.index for chunk in chunks for choice in chunk.choices} == {0, 1}


# --- tools -----------------------------------------------------------------------------------------------------------


def test_tool_calls(client, llmock):
    """The whole loop: the call, its result, the answer."""
    llmock.call_tool("get_weather", {"city": "Zürich"})
    answer = client.chat.completions.create(model="llm/chat", messages=HELLO, tools=[WEATHER])
    [call] = answer.choices[0].message.tool_calls

    messages = [
        *HELLO,
        answer.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"},
    ]
    after = client.chat.completions.create(model="llm/chat", messages=messages, tools=[WEATHER])

    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Zürich"})
    assert answer.choices[0].finish_reason == "tool_calls"
    assert after.choices[0].finish_reason == "stop"
    assert llmock.last_request.body["messages"][-1]["tool_call_id"] == call.id


def test_streamed_tool_calls(client, llmock):
    """The SDK's helper puts the fragments of the arguments together."""
    llmock.call_tool("get_weather", {"city": "a city with a rather long name"})

    with client.chat.completions.stream(model="llm/chat", messages=HELLO, tools=[WEATHER]) as stream:
        fragments = [event for event in stream if event.type == "tool_calls.function.arguments.delta"]
        final = stream.get_final_completion()

    [call] = final.choices[0].message.tool_calls
    assert len(fragments) > 1
    assert call.id
    assert json.loads(call.function.arguments) == {"city": "a city with a rather long name"}


# --- the other APIs --------------------------------------------------------------------------------------------------


def test_embeddings(client):
    answer = client.embeddings.create(
        model="llm/vectors", input=["the first text", "and the second"], encoding_format="float"
    )

    assert [len(item.embedding) for item in answer.data] == [1536, 1536]
    assert answer.usage.total_tokens > 0


async def test_embeddings_of_token_ids(aclient, provider, say):
    """LangChain sends them, and the SDK asks for base64."""
    data = [{"object": "embedding", "index": 0, "embedding": "AACAPwAAAEA="}]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    provider.on("real-vectors", [say.whole({"object": "list", "data": data, "model": "real-vectors", "usage": usage})])

    answer = await aclient.embeddings.create(model="mock/vectors", input=[[1212, 318, 1332]], dimensions=2)

    assert answer.data[0].embedding == [1.0, 2.0]
    assert provider.requests[0].fields == {
        "model": "real-vectors",
        "input": [[1212, 318, 1332]],
        "dimensions": 2,
        "encoding_format": "base64",
    }
    assert provider.requests[0].head.startswith(b"POST /v1/embeddings HTTP/1.1\r\n")


async def test_completions(aclient, provider, say):
    choice = {"index": 0, "text": "upon a time", "finish_reason": "stop", "logprobs": None}
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1700000000, "model": "real-old"}
    whole = {**head, "choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}}
    half = say.data({**head, "choices": [{**choice, "finish_reason": None}]})
    end = say.data({**head, "choices": [{**choice, "text": ""}]})
    stream = [say.STREAM, say.chunk(half), say.chunk(end), say.chunk(say.DONE), say.END]
    provider.on("real-old", [say.whole(whole)], stream)

    answer = await aclient.completions.create(model="mock/old", prompt="Once", max_tokens=5)
    chunks = [c async for c in await aclient.completions.create(model="mock/old", prompt="Once", stream=True)]

    assert answer.choices[0].text == "upon a time"
    assert "".join(chunk.choices[0].text for chunk in chunks) == "upon a time"
    assert provider.requests[0].fields == {"model": "real-old", "prompt": "Once", "max_tokens": 5}


def test_models(client):
    models = client.models.list()

    assert {"llm/chat", "llm/old", "llm/vectors", "demo/echo"} <= {model.id for model in models}
    assert client.models.retrieve("llm/chat").owned_by == "llm"
    assert len(models._request_id) == 32


@pytest.mark.parametrize("base", ["", "/v1", "/v1/", "/api/llm", "/api/llm/v1", "/api/llm/api/inference/openai"])
def test_every_base_url_people_paste(client, one_gateway, base):
    other = client.with_options(base_url=f"http://127.0.0.1:{one_gateway.port}{base}")

    assert other.chat.completions.create(model="llm/chat", messages=HELLO).choices
    assert other.models.list().data


# --- refusals of the gateway -----------------------------------------------------------------------------------------


def test_a_token_that_is_not_known(client, llmock):
    with pytest.raises(openai.AuthenticationError) as refused:
        client.with_options(api_key="wrong").chat.completions.create(model="llm/chat", messages=HELLO)

    assert refused.value.code == "invalid_api_key"
    assert len(refused.value.request_id) == 32
    assert llmock.requests == []


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_is_not_known_names_those_that_are(client, stream):
    with pytest.raises(openai.NotFoundError, match="demo/echo") as refused:
        client.chat.completions.create(model="gpt-9", messages=HELLO, stream=stream)

    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


def test_a_model_of_another_kind(client):
    with pytest.raises(openai.BadRequestError, match="llm/vectors is not declared as chat"):
        client.chat.completions.create(model="llm/vectors", messages=HELLO)


def test_a_path_nobody_serves(client):
    with pytest.raises(openai.NotFoundError, match="chat is at /v1/chat/completions"):
        client.vector_stores.create()


def test_a_body_that_is_too_large(client, llmock):
    """Tried once: sending it again would not make it smaller."""
    with pytest.raises(openai.APIStatusError) as refused:
        client.chat.completions.create(model="llm/chat", messages=[{"role": "user", "content": "x" * 21 * 2**20}])

    assert (refused.value.status_code, refused.value.code) == (413, "request_too_large")
    assert llmock.requests == []


# --- refusals of the provider ----------------------------------------------------------------------------------------

TRIED_AGAIN = 3
"""The SDK tries twice more."""


@pytest.mark.parametrize(
    ("status", "error", "tries"),
    [
        (400, openai.BadRequestError, 1),
        (403, openai.PermissionDeniedError, 1),
        (404, openai.NotFoundError, 1),
        (422, openai.UnprocessableEntityError, 1),
        (500, openai.InternalServerError, TRIED_AGAIN),
        (503, openai.InternalServerError, TRIED_AGAIN),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_the_provider_refuses(client, llmock, status, error, tries, stream):
    """The gateway passes it on and leaves the repeating to the SDK."""
    llmock.fail(status, times=None, message="of its own accord")

    with pytest.raises(error, match="of its own accord") as refused:
        client.chat.completions.create(model="llm/chat", messages=HELLO, stream=stream)

    assert refused.value.status_code == status
    assert len(llmock.requests) == tries


def test_a_provider_that_does_not_know_the_gateways_key(client, llmock):
    """A 401, but not the caller's fault; so it says whom to tell."""
    llmock.fail(401, times=None)

    with pytest.raises(openai.AuthenticationError, match="tell whoever runs the gateway") as refused:
        client.chat.completions.create(model="llm/chat", messages=HELLO)

    assert refused.value.code == "upstream_authentication_error"
    assert len(llmock.requests) == 1


def test_a_rate_limit_of_the_provider_is_waited_for(client, llmock):
    """The SDK sees the provider's own Retry-After."""
    llmock.rate_limit(times=2, retry_after=0.05)

    answer = client.chat.completions.create(model="llm/chat", messages=HELLO)

    assert answer.choices
    assert [record.status for record in llmock.requests] == [429, 429, 200]


def test_a_rate_limit_that_stays(client, llmock):
    llmock.rate_limit(times=None, retry_after=0.05)

    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(model="llm/chat", messages=HELLO)

    assert float(refused.value.response.headers["retry-after"]) < 1.1
    assert len(llmock.requests) == TRIED_AGAIN


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_nobody_reaches(client, stream):
    once = client.with_options(max_retries=0)

    with pytest.raises(
        openai.InternalServerError, match=r"nowhere/chat: no connection to 127\.0\.0\.1:\d+: "
    ) as refused:
        once.chat.completions.create(model="nowhere/chat", messages=HELLO, stream=stream)

    assert (refused.value.status_code, refused.value.code) == (502, "upstream_unreachable")


# --- streams that break ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["truncate", "disconnect"])
def test_a_stream_that_breaks_raises(client, llmock, fault):
    """D.5 row 24: against the provider itself, the SDK takes a truncated stream for a whole one."""
    llmock.reply("a text of more than two words")
    getattr(llmock, fault)(after_chunks=3)

    stream = client.chat.completions.create(model="llm/chat", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError, match="the provider") as broken:
        list(stream)

    assert broken.value.code == "stream_interrupted"
    assert len(llmock.requests) == 1


async def test_a_stream_that_breaks_raises_async(gateway, token, llmock):
    """D.5 row 24, on each server."""
    llmock.reply("a text of more than two words").truncate(after_chunks=3)
    seen = []

    async def read(stream):
        async for chunk in stream:
            seen.append(chunk)  # noqa: PERF401  an error must not take away what came before it

    async with AsyncOpenAI(base_url=gateway.url, api_key=token) as client:
        stream = await client.chat.completions.create(model="llm/chat", messages=HELLO, stream=True)
        with pytest.raises(openai.APIError) as broken:
            await read(stream)

    assert text_of(seen).startswith("a text")
    assert broken.value.code == "stream_interrupted"


async def test_an_error_of_the_provider_within_a_stream_raises(aclient, provider, say):
    """Its own words arrive, and only those."""
    error = say.data({"error": {"message": "the model ran out of memory", "type": "server_error", "code": "oom"}})
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("one")), say.chunk(error), say.END])

    stream = await aclient.chat.completions.create(model="mock/chat", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError, match="the model ran out of memory") as broken:
        [chunk async for chunk in stream]

    assert broken.value.code == "oom"


async def test_leaving_a_stream_early_leaves_the_provider(aclient, provider, say):
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("one")), provider.STALL])

    stream = await aclient.chat.completions.create(model="mock/chat", messages=HELLO, stream=True)
    async for _ in stream:
        break
    await stream.close()

    await provider.requests[0].seconds_until_closed(0)


async def test_many_at_once_share_connections(aclient, llmock):
    llmock.reply("hi", times=None)

    async def one(number):
        messages = [{"role": "user", "content": f"number {number}"}]
        stream = await aclient.chat.completions.create(model="llm/chat", messages=messages, stream=True)
        return text_of([chunk async for chunk in stream])

    assert await asyncio.gather(*map(one, range(50))) == ["hi"] * 50
