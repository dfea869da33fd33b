"""Anthropic's SDK, unchanged but for its base URL and key, in front of models that speak OpenAI's API: llmock and a
scripted provider."""

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic

HELLO = [{"role": "user", "content": "Say hello"}]
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def base_of(gateway):
    """Anthropic's clients add the version themselves."""
    return gateway.url.removesuffix("/v1") + "/anthropic"


@pytest.fixture
def client(one_gateway, token, llmock):
    """The synchronous one; `llmock` begins afresh for each test."""
    with Anthropic(base_url=base_of(one_gateway), api_key=token, timeout=30) as client:
        yield client


@pytest.fixture
async def aclient(one_gateway, token):
    async with AsyncAnthropic(base_url=base_of(one_gateway), auth_token=token, timeout=30) as client:
        yield client


# --- answers ---------------------------------------------------------------------------------------------------------


def test_a_message(client, llmock):
    llmock.reply("Hello there")

    answer = client.messages.create(
        model="llm/chat", max_tokens=50, messages=HELLO, system="Be brief.", stop_sequences=["END"]
    )

    assert [(block.type, block.text) for block in answer.content] == [("text", "Hello there")]
    assert (answer.type, answer.role, answer.stop_reason) == ("message", "assistant", "end_turn")
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens > 0
    assert len(answer._request_id) == 32
    assert llmock.last_request.body == {
        "model": "real-chat",
        "messages": [{"role": "system", "content": "Be brief."}, *HELLO],
        "max_tokens": 50,
        "stop": ["END"],
    }


def test_a_streamed_message(client, llmock):
    llmock.reply("Hello over there")

    with client.messages.stream(model="llm/chat", max_tokens=50, messages=HELLO) as stream:
        texts = list(stream.text_stream)
        final = stream.get_final_message()

    assert len(texts) > 1
    assert ("".join(texts), final.stop_reason) == ("Hello over there", "end_turn")
    assert final.usage.input_tokens > 0
    assert final.usage.output_tokens > 0


async def test_on_every_server(gateway, token, llmock):
    llmock.reply("one", times=None)

    async with AsyncAnthropic(base_url=base_of(gateway), api_key=token) as client:
        answer = await client.messages.create(model="llm/chat", max_tokens=9, messages=HELLO)
        async with client.messages.stream(model="llm/chat", max_tokens=9, messages=HELLO) as stream:
            final = await stream.get_final_message()

    assert answer.content[0].text == final.content[0].text == "one"


async def test_the_bill_is_for_what_the_provider_says(one_gateway, aclient, provider, say):
    """Nobody but the gateway asks for usage of a stream."""
    provider.on("real-chat", say.stream("hel", "lo"))

    async with aclient.messages.stream(model="mock/chat", max_tokens=9, messages=HELLO) as stream:
        final = await stream.get_final_message()

    assert (final.usage.input_tokens, final.usage.output_tokens) == (3, 2)
    assert provider.requests[0].fields["stream_options"] == {"include_usage": True}
    [record] = await one_gateway.records_of(stream.response.headers["request-id"])
    assert (record["outcome"], record["request_type"], record["usage"]) == (
        "complete",
        "messages",
        {"input": 3, "output": 2},
    )


# --- tools and thinking ----------------------------------------------------------------------------------------------


def test_the_whole_loop_of_a_tool(client, llmock):
    """The call, its result, the answer."""
    llmock.call_tool("get_weather", {"city": "Zürich"})
    answer = client.messages.create(model="llm/chat", max_tokens=50, messages=HELLO, tools=[WEATHER])
    [call] = [block for block in answer.content if block.type == "tool_use"]

    result = {"type": "tool_result", "tool_use_id": call.id, "content": "21 degrees"}
    messages = [*HELLO, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
    after = client.messages.create(model="llm/chat", max_tokens=50, messages=messages, tools=[WEATHER])

    assert (call.name, call.input, answer.stop_reason) == ("get_weather", {"city": "Zürich"}, "tool_use")
    assert after.stop_reason == "end_turn"
    assert llmock.last_request.body["messages"][-1] == {
        "role": "tool",
        "tool_call_id": call.id,
        "content": "21 degrees",
    }


def test_a_streamed_call(client, llmock):
    """Its input comes in pieces."""
    llmock.call_tool("get_weather", {"city": "a city with a rather long name"})

    with client.messages.stream(model="llm/chat", max_tokens=50, messages=HELLO, tools=[WEATHER]) as stream:
        pieces = [event for event in stream if event.type == "input_json"]
        final = stream.get_final_message()

    [call] = [block for block in final.content if block.type == "tool_use"]
    assert len(pieces) > 1
    assert call.input == {"city": "a city with a rather long name"}
    assert final.stop_reason == "tool_use"


def test_the_tool_runner(client, llmock):
    """The SDK's own loop."""
    llmock.call_tool("get_weather", {"city": "Rome"})
    llmock.reply("It is sunny.")

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather in a city.

        Args:
            city: its name
        """
        return f"sunny in {city}"

    final = client.beta.messages.tool_runner(
        model="llm/chat", max_tokens=50, messages=HELLO, tools=[get_weather]
    ).until_done()

    assert final.content[0].text == "It is sunny."
    assert llmock.last_request.body["messages"][-1]["content"] == "sunny in Rome"


async def test_thinking_goes_round(aclient, provider, say):
    """It comes as thinking, and is given back to the model as what it was."""
    said = {**say.head(), "choices": [{"index": 0, "delta": {"reasoning_content": "hm"}, "finish_reason": None}]}
    thought = [say.STREAM, *map(say.chunk, [say.data(said), say.event("so", "stop"), say.DONE]), say.END]
    provider.on("real-chat", thought, [say.completion("fine")])

    async with aclient.messages.stream(model="mock/chat", max_tokens=9, messages=HELLO) as stream:
        final = await stream.get_final_message()
    messages = [*HELLO, {"role": "assistant", "content": final.content}, {"role": "user", "content": "and?"}]
    await aclient.messages.create(model="mock/chat", max_tokens=9, messages=messages)

    assert [block.type for block in final.content] == ["thinking", "text"]
    assert provider.requests[1].fields["messages"][1] == {
        "role": "assistant",
        "content": "so",
        "reasoning_content": "hm",
    }


async def test_a_provider_that_does_not_stream(aclient, provider, say):
    """langwatch/langwatch#6184: 200, and no event in which there was anything."""
    provider.on("real-chat", [say.completion("all at once")])

    async with aclient.messages.stream(model="mock/chat", max_tokens=9, messages=HELLO) as stream:
        texts = [text async for text in stream.text_stream]
        final = await stream.get_final_message()

    assert (texts, final.stop_reason, final.usage.output_tokens) == (["all at once"], "end_turn", 2)


async def test_what_was_left_out_is_told(aclient, provider, say):
    provider.on("real-chat", [say.completion()])

    raw = await aclient.messages.with_raw_response.create(
        model="mock/chat",
        max_tokens=9,
        messages=HELLO,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    )

    assert raw.headers["x-gateway-dropped-params"] == "cache_control"


# --- counting --------------------------------------------------------------------------------------------------------


def test_tokens_are_estimated_where_nobody_counts_them(client):
    """Coding agents ask before each turn; by the size of the request is better than nothing."""
    count = client.messages.count_tokens(model="llm/chat", messages=[{"role": "user", "content": "word " * 400}])

    assert 400 < count.input_tokens < 600


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "raised", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (413, anthropic.APIStatusError, "request_too_large"),
        (422, anthropic.UnprocessableEntityError, "invalid_request_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (503, anthropic.InternalServerError, "overloaded_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
    ],
)
async def test_errors_by_class(aclient, provider, say, status, raised, kind):
    """In Anthropic's shape, with the provider's words, and the id of the request in both places."""
    body = {"error": {"message": "the provider says no", "type": "x", "code": "y"}}
    provider.on("real-chat", [say.whole(body, status, {"retry-after": "7"})])

    with pytest.raises(raised) as refused:
        await aclient.with_options(max_retries=0).messages.create(model="mock/chat", max_tokens=9, messages=HELLO)

    error = refused.value
    assert (error.status_code, error.type, error.body["type"]) == (status, kind, "error")
    assert error.body["request_id"] == error.request_id
    assert error.response.headers["retry-after"] == "7"
    if status != 401:
        assert error.body["error"]["message"] == "the provider says no"


async def test_the_sdk_asks_again(aclient, provider, say):
    provider.on(
        "real-chat",
        [say.whole({"error": {"message": "busy"}}, 529, {"retry-after-ms": "1"})],
        [say.completion("fine")],
    )

    answer = await aclient.messages.create(model="mock/chat", max_tokens=9, messages=HELLO)

    assert (answer.content[0].text, len(provider.requests)) == ("fine", 2)


async def test_an_error_in_the_middle_of_a_stream(aclient, provider, say):
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("hel")), provider.RESET])
    came = []

    async def read(came):
        async with aclient.messages.stream(model="mock/chat", max_tokens=9, messages=HELLO) as stream:
            async for text in stream.text_stream:
                came += [text]

    with pytest.raises(anthropic.APIStatusError) as broken:
        await read(came)

    assert (came, broken.value.type) == (["hel"], "api_error")


def test_who_is_not_known(one_gateway):
    with (
        Anthropic(base_url=base_of(one_gateway), api_key="nobody", max_retries=0) as client,
        pytest.raises(anthropic.AuthenticationError) as refused,
    ):
        client.messages.create(model="llm/chat", max_tokens=9, messages=HELLO)

    assert refused.value.type == "authentication_error"


def test_an_unknown_model(client):
    with pytest.raises(anthropic.NotFoundError, match="no model named"):
        client.messages.create(model="llm/none", max_tokens=9, messages=HELLO)


def test_a_tool_of_anthropics_own(client):
    with pytest.raises(anthropic.BadRequestError, match="web_search_20250305"):
        client.messages.create(
            model="llm/chat",
            max_tokens=9,
            messages=HELLO,
            tools=[{"type": "web_search_20250305", "name": "web_search"}],
        )


# --- models ----------------------------------------------------------------------------------------------------------


def test_the_list_of_models(client):
    names = [model.id for model in client.models.list(limit=1000)]

    assert {"llm/chat", "demo/echo"} <= set(names)
    assert client.models.retrieve("llm/chat").display_name == "llm/chat"
