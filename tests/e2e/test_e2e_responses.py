"""OpenAI's SDK and LangChain with the Responses API, in front of a provider that has only chat, and of one that has
that API itself. All streams keep to its grammar, as the bytes tell."""

import asyncio
import json

import openai
import pytest
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from gateway.testing import ResponseGrammar

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


class Place(BaseModel):
    city: str
    degrees: int


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"21 degrees in {city}"


@pytest.fixture(scope="session")
def responses_manifests(account, provider_url, llmock_server):
    """`mock/chat` and `llm/chat` have only chat; `own/chat` and `owned/chat` are the same with the Responses API."""
    accounts = [account("mock", provider_url), account("llm", llmock_server.base_url("openai"))]
    for name, url in (("own", provider_url), ("owned", llmock_server.base_url("openai"))):
        one = account(name, url)
        one["integrations"][0]["model_types"] = ["chat", "responses"]
        accounts.append(one)
    return json.dumps(accounts)


@pytest.fixture(scope="module")
def running(gateway_of_module, responses_manifests):
    return gateway_of_module(config=responses_manifests)


@pytest.fixture
def client(running, token, llmock):
    with OpenAI(base_url=running.url, api_key=token, timeout=30, max_retries=0) as client:
        yield client


@pytest.fixture
async def aclient(running, token):
    async with AsyncOpenAI(base_url=running.url, api_key=token, timeout=30, max_retries=0) as client:
        yield client


each_model = pytest.mark.parametrize("model", ["llm/chat", "owned/chat"], ids=["translated", "native"])


@each_model
def test_a_response(client, llmock, model):
    llmock.reply("Hello there")

    answer = client.responses.create(model=model, input="Say hello", instructions="Be brief.", max_output_tokens=50)

    assert (answer.output_text, answer.status, answer.error) == ("Hello there", "completed", None)
    assert answer.usage.input_tokens > 0
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    assert len(answer._request_id) == 32


@each_model
def test_a_streamed_response(client, llmock, model):
    llmock.reply("Hello over there")

    with client.responses.stream(model=model, input="Say hello") as stream:
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()

    assert ("".join(texts), final.output_text, final.status) == ("Hello over there", "Hello over there", "completed")
    assert final.usage.output_tokens > 0


@each_model
def test_an_answer_of_a_given_form(client, llmock, model):
    llmock.reply('{"city": "Paris", "degrees": 21}')

    answer = client.responses.parse(model=model, input="How warm is Paris?", text_format=Place)

    assert answer.output_parsed == Place(city="Paris", degrees=21)


@each_model
@pytest.mark.parametrize("is_stream", [False, True])
def test_tools(client, llmock, model, is_stream):
    """Called by the model, run here, and answered."""
    llmock.call_tool("get_weather", {"city": "Paris"})
    llmock.reply("21 degrees")
    asked = [{"role": "user", "content": "What is the weather in Paris?"}]

    def ask(given):
        if not is_stream:
            return client.responses.create(model=model, input=given, tools=[WEATHER])
        with client.responses.stream(model=model, input=given, tools=[WEATHER]) as stream:
            return stream.get_final_response()

    called = ask(asked)
    [call] = [item for item in called.output if item.type == "function_call"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"}
    given_back = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in called.output]
    answer = ask([*asked, *given_back, result])

    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    assert answer.output_text == "21 degrees"


def test_a_conversation_that_the_gateway_keeps(client, llmock):
    llmock.reply("one")
    llmock.reply("two")

    first = client.responses.create(model="llm/chat", input="Say one")
    second = client.responses.create(model="llm/chat", input="Say two", previous_response_id=first.id)
    items = client.responses.input_items.list(second.id, order="asc")
    found = client.responses.retrieve(second.id)
    client.responses.delete(first.id)

    assert [message["content"] for message in llmock.last_request.body["messages"]] == ["Say one", "one", "Say two"]
    assert [item.role for item in items] == ["user", "assistant", "user"]
    assert (found.output_text, found.previous_response_id) == ("two", first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError, match="no response"):
        client.responses.create(model="llm/chat", input="Say three", previous_response_id=first.id)


def test_a_response_in_the_background(client, llmock):
    llmock.reply("done")

    answer = client.responses.create(model="llm/chat", input="Think", background=True)
    assert answer.status == "queued"
    while answer.status in ("queued", "in_progress"):
        answer = client.responses.retrieve(answer.id)

    assert (answer.status, answer.output_text) == ("completed", "done")


def test_counting(client):
    assert client.responses.input_tokens.count(model="llm/chat", input="x" * 400).input_tokens == 100


async def test_a_conversation_is_made_shorter_and_goes_on(aclient, provider, say):
    """What the provider has sealed goes back to it as it was."""
    sealed = {"type": "compaction", "id": "cmp_2", "encrypted_content": "sealed"}
    usage = {
        "input_tokens": 90,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 93,
    }
    shorter = {"id": "cmp_1", "object": "response.compaction", "created_at": 1, "output": [sealed], "usage": usage}
    answer = {"id": "resp_1", "object": "response", "status": "completed", "output": [], "usage": usage}
    provider.on("real-chat", [say.whole(shorter)], [say.whole(answer)])

    compacted = await aclient.responses.compact(model="own/chat", input="A long story")
    given_back = [item.model_dump(exclude_none=True) for item in compacted.output]
    await aclient.responses.create(model="own/chat", input=given_back)

    assert compacted.usage.total_tokens == 93
    assert [asked.head.partition(b" HTTP")[0] for asked in provider.requests] == [
        b"POST /v1/responses/compact",
        b"POST /v1/responses",
    ]
    assert provider.requests[1].fields["input"] == [sealed]


@pytest.mark.parametrize("model", ["mock/chat", "own/chat"], ids=["translated", "native"])
def test_errors_are_the_sdks_own(client, running, token, model):
    with pytest.raises(openai.NotFoundError) as unknown:
        client.responses.create(model=f"{model}-no", input="hi")

    assert unknown.value.code == "model_not_found"


async def test_a_stream_that_breaks_off(aclient, provider, say):
    """It ends with a response that has failed, which the helper gives back; the text so far has come."""
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("hel")), provider.RESET])

    async with aclient.responses.stream(model="mock/chat", input="hi") as stream:
        events = [event async for event in stream]

    assert [event.delta for event in events if event.type == "response.output_text.delta"] == ["hel"]
    assert (events[-1].type, events[-1].response.error.code) == ("response.failed", "server_error")


async def test_streams_cut_anywhere_by_the_provider(running, connect, provider, say):
    """To the bytes: whatever the provider manages to send before it ends, the client gets whole events, and one
    end."""
    whole = b"".join([say.event("hel"), say.event("lo"), say.event("", "stop"), say.usage(), say.DONE])
    places = range(1, len(whole), 29)
    provider.on("real-chat", *([say.STREAM, say.chunk(whole[:cut]), say.END] for cut in places))
    ends = []

    client = await connect(running)
    for _ in places:
        client.ask({"model": "mock/chat", "input": "hi", "stream": True}, "/v1/responses")
        answer = await client.answer()
        if answer.status == 200:
            ends.append(ResponseGrammar.of(answer.body).events[-1]["type"])
        else:
            ends.append(answer.status)

    assert ends == sorted(ends, key=[502, "response.failed", "response.completed"].index)
    assert set(ends) == {502, "response.failed", "response.completed"}


async def test_a_client_that_leaves_ends_the_call(running, connect, provider, say):
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("hel")), provider.STALL])

    client = await connect(running)
    client.ask({"model": "mock/chat", "input": "hi", "stream": True}, "/v1/responses")
    answer = await client.head()
    await client.piece(answer)
    client.reset()

    asked = await provider.asked()
    async with asyncio.timeout(30):
        await asked.closed.wait()
    [record] = await running.records_of(answer.id)
    assert record["outcome"] == "client_left"


# --- LangChain --------------------------------------------------------------------------------------------------------


@pytest.fixture
def chat(running, token, llmock):
    return lambda model, **fields: ChatOpenAI(
        model=model, base_url=running.url, api_key=token, max_retries=0, use_responses_api=True, **fields
    )


@each_model
def test_langchain(chat, llmock, model):
    llmock.reply("Hello there")

    answer = chat(model).invoke("Say hello")

    assert answer.text == "Hello there"
    assert answer.usage_metadata["total_tokens"] > 0


@each_model
def test_langchain_streams(chat, llmock, model):
    llmock.reply("Hello over there")

    chunks = list(chat(model).stream("Say hello"))

    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.text == "Hello over there"
    assert whole.usage_metadata["total_tokens"] > 0


@each_model
def test_langchain_tools(chat, llmock, model):
    llmock.call_tool("get_weather", {"city": "Paris"})
    llmock.reply("21 degrees")
    with_tools = chat(model).bind_tools([get_weather])

    asked = with_tools.invoke("What is the weather in Paris?")
    [call] = asked.tool_calls
    answer = with_tools.invoke([("user", "What is the weather in Paris?"), asked, get_weather.invoke(call)])

    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    assert answer.text == "21 degrees"


def test_langchain_continues_by_id(chat, llmock):
    llmock.reply("one")
    llmock.reply("two")
    model = chat("llm/chat", use_previous_response_id=True)

    first = model.invoke("Say one")
    answer = model.invoke([("user", "Say one"), first, ("user", "Say two")])

    assert answer.text == "two"
    assert [message["content"] for message in llmock.last_request.body["messages"]] == ["Say one", "one", "Say two"]
