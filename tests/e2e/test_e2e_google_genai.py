"""Google's SDK, unchanged but for its base URL and key, in front of models that speak OpenAI's API: llmock and a
scripted provider."""

import json
from contextlib import asynccontextmanager

import httpx2
import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

HELLO = "Say hello"
PNG = b"\x89PNG\r\n\x1a\n"


def root_of(gateway):
    return gateway.url.removesuffix("/v1")


def client_of(url, token, **options):
    return genai.Client(api_key=token, vertexai=False, http_options=types.HttpOptions(base_url=url, **options))


@pytest.fixture
def client(one_gateway, token, llmock):
    """The synchronous one; `llmock` begins afresh for each test."""
    with client_of(root_of(one_gateway), token) as client:
        yield client


@asynccontextmanager
async def async_client_of(url, token):
    """By httpx: the SDK's class for aiohttp is a warning of that."""
    async with httpx2.AsyncClient() as http, client_of(url, token, httpx_async_client=http).aio as client:
        yield client


@pytest.fixture
async def aclient(one_gateway, token):
    async with async_client_of(root_of(one_gateway), token) as client:
        yield client


def get_weather(city: str) -> str:
    """The weather in a city.

    Args:
        city: its name
    """
    return f"sunny in {city}"


# --- answers ---------------------------------------------------------------------------------------------------------


def test_an_answer(client, llmock):
    llmock.reply("Hello there")

    answer = client.models.generate_content(
        model="llm/chat",
        contents=HELLO,
        config={
            "system_instruction": "Be brief.",
            "max_output_tokens": 50,
            "stop_sequences": ["END"],
            "temperature": 0.5,
        },
    )

    assert (answer.text, answer.model_version) == ("Hello there", "llm/chat")
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata.prompt_token_count > 0
    assert answer.usage_metadata.candidates_token_count > 0
    assert llmock.last_request.body == {
        "model": "real-chat",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": HELLO}],
        "max_tokens": 50,
        "stop": ["END"],
        "temperature": 0.5,
    }


@pytest.mark.parametrize("base", ["", "/gemini", "/api/llm", "/api/llm/gemini"])
def test_under_every_prefix(one_gateway, token, llmock, base):
    llmock.reply("Hello")

    with client_of(root_of(one_gateway) + base, token, api_version="v1") as client:
        answer = client.models.generate_content(model="llm/chat", contents=HELLO)

    assert answer.text == "Hello"


def test_a_stream(client, llmock):
    llmock.reply("Hello over there")

    chunks = list(client.models.generate_content_stream(model="llm/chat", contents=HELLO))

    texts = [chunk.text for chunk in chunks]
    assert len(texts) > 2
    assert "".join(texts) == "Hello over there"
    assert [chunk.candidates[0].finish_reason for chunk in chunks][-2:] == [None, types.FinishReason.STOP]
    assert chunks[-1].usage_metadata.candidates_token_count > 0


async def test_on_every_server(gateway, token, llmock):
    llmock.reply("one", times=None)

    async with async_client_of(root_of(gateway), token) as client:
        answer = await client.models.generate_content(model="llm/chat", contents=HELLO)
        stream = await client.models.generate_content_stream(model="llm/chat", contents=HELLO)
        texts = [chunk.text async for chunk in stream]

    assert answer.text == "".join(texts) == "one"


async def test_the_bill_is_for_what_the_provider_says(one_gateway, aclient, provider, say):
    """Nobody but the gateway asks for usage of a stream."""
    provider.on("real-chat", say.stream("hel", "lo"))

    stream = await aclient.models.generate_content_stream(model="mock/chat", contents=HELLO)
    last = [chunk async for chunk in stream][-1]

    assert (last.usage_metadata.prompt_token_count, last.usage_metadata.candidates_token_count) == (3, 2)
    assert provider.requests[0].fields["stream_options"] == {"include_usage": True}
    [record] = await one_gateway.records_of(last.sdk_http_response.headers["x-request-id"])
    assert (record["outcome"], record["request_type"], record["usage"]) == (
        "complete",
        "gemini",
        {"input": 3, "output": 2},
    )


def test_a_conversation(client, llmock):
    """The SDK keeps each event of a stream as a content of its own."""
    llmock.reply("Hello over there")
    llmock.reply("Fine")
    chat = client.chats.create(model="llm/chat")

    list(chat.send_message_stream(HELLO))
    answer = chat.send_message("How are you?")

    assert answer.text == "Fine"
    assert llmock.last_request.body["messages"] == [
        {"role": "user", "content": HELLO},
        {"role": "assistant", "content": "Hello over there"},
        {"role": "user", "content": "How are you?"},
    ]


# --- tools, pictures, thinking, JSON ---------------------------------------------------------------------------------


def test_the_sdks_own_loop_of_a_tool(client, llmock):
    llmock.call_tool("get_weather", {"city": "Zürich"})
    llmock.reply("It is sunny.")

    answer = client.models.generate_content(
        model="llm/chat",
        contents=HELLO,
        config=types.GenerateContentConfig(tools=[get_weather], automatic_function_calling={"disable": False}),
    )

    assert answer.text == "It is sunny."
    [tool] = llmock.last_request.body["tools"]
    assert tool["function"]["name"] == "get_weather"
    assert tool["function"]["parameters"]["properties"]["city"]["type"] == "string"
    call, result = llmock.last_request.body["messages"][1:]
    assert json.loads(call["tool_calls"][0]["function"]["arguments"]) == {"city": "Zürich"}
    assert result == {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": "sunny in Zürich"}


def test_a_streamed_call_in_a_conversation(client, llmock):
    llmock.call_tool("get_weather", {"city": "a city with a rather long name"})
    llmock.reply("It is sunny.")
    chat = client.chats.create(model="llm/chat", config=types.GenerateContentConfig(tools=[get_weather]))

    texts = [chunk.text for chunk in chat.send_message_stream(HELLO) if chunk.text]

    assert "".join(texts) == "It is sunny."
    assert llmock.last_request.body["messages"][-1]["content"] == "sunny in a city with a rather long name"


def test_a_picture_and_a_document(client, llmock):
    llmock.reply("A picture")

    client.models.generate_content(
        model="llm/chat",
        contents=[
            types.Part.from_bytes(data=PNG, mime_type="image/png"),
            types.Part.from_bytes(data=b"%PDF", mime_type="application/pdf"),
            "What is this?",
        ],
    )

    assert llmock.last_request.body["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
        {"type": "text", "text": "What is this?"},
    ]


async def test_thinking_goes_round(aclient, provider, say):
    """It is shown to who wants to see it, and given back to the model with the call that it led to."""
    head = say.head()
    called = {"index": 0, "id": "call_9", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    deltas = [{"reasoning_content": "h"}, {"reasoning_content": "m"}, {"tool_calls": [called]}]
    events = [say.data({**head, "choices": [{"index": 0, "delta": delta}]}) for delta in deltas]
    events += [say.event("", "tool_calls"), say.DONE]
    provider.on("real-chat", [say.STREAM, *map(say.chunk, events), say.END], [say.completion("fine")])
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[types.FunctionDeclaration(name="get_weather")])],
        thinking_config=types.ThinkingConfig(include_thoughts=True),
    )

    stream = await aclient.models.generate_content_stream(model="mock/chat", contents=HELLO, config=config)
    contents = [chunk.candidates[0].content async for chunk in stream]
    result = types.Part.from_function_response(name="get_weather", response={"result": "sunny"})
    history = [types.UserContent(HELLO), *contents, types.UserContent([result])]
    await aclient.models.generate_content(model="mock/chat", contents=history, config=config)

    assert [part.text for content in contents for part in content.parts if part.thought] == ["h", "m"]
    function = {"name": "get_weather", "arguments": "{}"}
    assert provider.requests[1].fields["messages"][1:] == [
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "hm",
            "tool_calls": [{"id": "call_9", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "call_9", "content": "sunny"},
    ]


class Recipe(BaseModel):
    name: str
    minutes: int | None = None


def test_an_answer_by_a_schema(client, llmock):
    llmock.reply('{"name": "Rösti", "minutes": 30}')

    answer = client.models.generate_content(
        model="llm/chat",
        contents=HELLO,
        config={"response_mime_type": "application/json", "response_schema": Recipe},
    )

    assert answer.parsed == Recipe(name="Rösti", minutes=30)
    wanted = llmock.last_request.body["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["schema"]["properties"]["minutes"]["type"] == ["integer", "null"]


async def test_what_was_left_out_is_told(aclient, provider, say):
    provider.on("real-chat", [say.completion()])

    answer = await aclient.models.generate_content(
        model="mock/chat",
        contents=HELLO,
        config=types.GenerateContentConfig(
            safety_settings=[
                types.SafetySetting(category="HARM_CATEGORY_HATE_SPEECH", threshold="BLOCK_NONE"),
            ],
        ),
    )

    assert answer.sdk_http_response.headers["x-gateway-dropped-params"] == "safetySettings"


# --- embeddings ------------------------------------------------------------------------------------------------------


async def test_embeddings(one_gateway, aclient, provider, say):
    """One text, and several: the SDK asks for both as a batch."""
    vectors = [{"object": "embedding", "index": index, "embedding": [0.5, float(index)]} for index in (1, 0)]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    provider.on("real-vectors", [say.whole({"object": "list", "data": vectors, "usage": usage})])

    answer = await aclient.models.embed_content(
        model="mock/vectors",
        contents=["one", "two"],
        config=types.EmbedContentConfig(output_dimensionality=2, task_type="RETRIEVAL_QUERY"),
    )

    assert [each.values for each in answer.embeddings] == [[0.5, 0.0], [0.5, 1.0]]
    assert provider.requests[0].fields == {"model": "real-vectors", "input": ["one", "two"], "dimensions": 2}
    headers = answer.sdk_http_response.headers
    assert headers["x-gateway-dropped-params"] == "taskType"
    [record] = await one_gateway.records_of(headers["x-request-id"])
    assert (record["request_type"], record["usage"]) == ("gemini_embeddings", {"input": 4})


# --- counting and models ---------------------------------------------------------------------------------------------


def test_tokens_are_estimated_where_nobody_counts_them(client):
    count = client.models.count_tokens(model="llm/chat", contents="word " * 400)

    assert 400 < count.total_tokens < 600


def test_the_list_of_models(client):
    names = [model.name for model in client.models.list()]
    one = client.models.get(model="llm/chat")

    assert {"models/llm/chat", "models/demo/echo"} <= set(names)
    assert (one.name, one.display_name) == ("models/llm/chat", "llm/chat")
    assert one.supported_actions == ["generateContent", "countTokens"]


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "raised", "name"),
    [
        (400, errors.ClientError, "INVALID_ARGUMENT"),
        (401, errors.ClientError, "UNAUTHENTICATED"),
        (403, errors.ClientError, "PERMISSION_DENIED"),
        (404, errors.ClientError, "NOT_FOUND"),
        (413, errors.ClientError, "INVALID_ARGUMENT"),
        (422, errors.ClientError, "INVALID_ARGUMENT"),
        (429, errors.ClientError, "RESOURCE_EXHAUSTED"),
        (500, errors.ServerError, "INTERNAL"),
        (502, errors.ServerError, "UNAVAILABLE"),
        (503, errors.ServerError, "UNAVAILABLE"),
        (529, errors.ServerError, "UNAVAILABLE"),
    ],
)
async def test_errors_by_class(aclient, provider, say, status, raised, name):
    """In Google's shape, with the provider's words."""
    body = {"error": {"message": "the provider says no", "type": "x", "code": "y"}}
    provider.on("real-chat", [say.whole(body, status, {"retry-after": "7"})])

    with pytest.raises(raised) as refused:
        await aclient.models.generate_content(model="mock/chat", contents=HELLO)

    error = refused.value
    assert (error.code, error.status) == (status, name)
    assert error.response.headers["retry-after"] == "7"
    if status != 401:
        assert error.message == "the provider says no"


@pytest.mark.parametrize("end", ["reset", "short", "told"])
async def test_an_error_in_the_middle_of_a_stream(aclient, provider, say, end):
    """A connection that is cut, a body that ends without an end, an error that is told."""
    told = say.chunk(say.data({"error": {"message": "out of memory", "code": 500}}))
    ends = {"reset": [provider.RESET], "short": [say.END], "told": [told, say.END]}[end]
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("hel")), *ends])
    came = []

    async def read(came):
        stream = await aclient.models.generate_content_stream(model="mock/chat", contents=HELLO)
        async for chunk in stream:
            came += [chunk.text]

    with pytest.raises(errors.ServerError) as broken:
        await read(came)

    assert (came, broken.value.code, broken.value.status) == (["hel"], 502, "UNAVAILABLE")


async def test_a_silent_stream_is_kept_alive(hasty_gateway, token, provider, say):
    """Not by comments, which the SDK takes for an answer that it cannot read."""
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("hel")), provider.STALL])
    came = []

    async def read(came):
        async with async_client_of(root_of(hasty_gateway), token) as client:
            async for chunk in await client.models.generate_content_stream(model="mock/chat", contents=HELLO):
                came += [chunk.text]

    with pytest.raises(errors.APIError, match="upstream_timeout") as broken:
        await read(came)

    assert (came, broken.value.code, broken.value.status) == (["hel"], 408, "DEADLINE_EXCEEDED")


def test_who_is_not_known(one_gateway):
    with client_of(root_of(one_gateway), "nobody") as client, pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(model="llm/chat", contents=HELLO)

    assert (refused.value.code, refused.value.status) == (401, "UNAUTHENTICATED")


def test_an_unknown_model(client):
    with pytest.raises(errors.ClientError, match="no model named") as refused:
        client.models.generate_content(model="llm/none", contents=HELLO)
    with pytest.raises(errors.ClientError, match="no model named"):
        client.models.get(model="llm/none")

    assert refused.value.details["error"]["details"][0]["reason"] == "model_not_found"


def test_a_tool_of_googles_own(client):
    with pytest.raises(errors.ClientError, match="codeExecution"):
        client.models.generate_content(
            model="llm/chat", contents=HELLO, config={"tools": [types.Tool(code_execution=types.ToolCodeExecution())]}
        )


# --- by hand ---------------------------------------------------------------------------------------------------------


async def test_without_events_a_stream_is_a_list(one_gateway, connect, provider, say):
    provider.on("real-chat", [say.completion("fine")])
    client = await connect(one_gateway)

    client.ask({"contents": [{"parts": [{"text": "hi"}]}]}, "/v1beta/models/mock%2Fchat:streamGenerateContent")
    answer = await client.answer()

    [chunk] = answer.json
    assert (answer.status, chunk["candidates"][0]["content"]["parts"]) == (200, [{"text": "fine"}])


async def test_a_key_in_the_query_is_never_logged(one_gateway, connect, provider, say, token):
    provider.on("real-chat", [say.completion("fine")])
    client = await connect(one_gateway)
    body = {"contents": [{"parts": [{"text": "hi"}]}]}

    client.ask(body, f"/v1beta/models/mock/chat:generateContent?key={token}", authorization=None)
    answer = await client.answer()
    [record] = await one_gateway.records_of(answer.id)

    assert (answer.status, record["status"]) == (200, 200)
    assert token not in one_gateway.out
    assert token not in one_gateway.err


async def test_no_other_api_takes_a_key_in_the_query(one_gateway, connect, ask, token):
    client = await connect(one_gateway)

    client.ask(ask(), f"/v1/chat/completions?key={token}", authorization=None)
    answer = await client.answer()

    assert answer.status == 401
