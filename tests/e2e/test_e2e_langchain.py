"""LangChain, which has its own ideas about usage, base URLs and embeddings."""

import httpx2
import pytest
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings


@pytest.fixture
def chat(one_gateway, token, llmock):
    return ChatOpenAI(model="llm/chat", base_url=one_gateway.url, api_key=token, max_retries=0)


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"21 degrees in {city}"


def test_invoke(chat, llmock):
    llmock.reply("Hello there")

    answer = chat.invoke("Say hello")

    assert answer.content == "Hello there"
    assert answer.usage_metadata["total_tokens"] > 0
    assert answer.response_metadata["finish_reason"] == "stop"


async def test_invoke_async(one_gateway, token, llmock):
    """By a client of its own: LangChain's is never closed, and its connection outlives the loop of the test."""
    llmock.reply("Hello there")

    async with httpx2.AsyncClient() as http:
        chat = ChatOpenAI(model="llm/chat", base_url=one_gateway.url, api_key=token, http_async_client=http)
        answer = await chat.ainvoke("Say hello")

    assert answer.content == "Hello there"


@pytest.mark.parametrize("stream_usage", [False, True])
def test_stream(chat, llmock, stream_usage):
    """With a base URL of one's own, LangChain does not ask for usage unless told to."""
    llmock.reply("Hello over there")

    chunks = list(chat.model_copy(update={"stream_usage": stream_usage}).stream("Say hello"))

    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.content == "Hello over there"
    assert (whole.usage_metadata is not None) == stream_usage


def test_tools(chat, llmock):
    """Called by the model, run here, and answered."""
    llmock.call_tool("get_weather", {"city": "Paris"})
    with_tools = chat.bind_tools([get_weather])

    asked = with_tools.invoke("What is the weather in Paris?")
    [call] = asked.tool_calls
    answer = with_tools.invoke([("user", "What is the weather in Paris?"), asked, get_weather.invoke(call)])

    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    assert answer.content
    assert answer.tool_calls == []


def test_streamed_tools(chat, llmock):
    llmock.call_tool("get_weather", {"city": "a city with a rather long name"})

    chunks = list(chat.bind_tools([get_weather]).stream("What is the weather?"))

    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert [call["args"] for call in whole.tool_calls] == [{"city": "a city with a rather long name"}]


def test_embeddings(one_gateway, token, llmock):
    """As text: with `check_embedding_ctx_length`, it would want a tokenizer's tables from the internet."""
    embeddings = OpenAIEmbeddings(
        model="llm/vectors", base_url=one_gateway.url, api_key=token, check_embedding_ctx_length=False
    )

    assert len(embeddings.embed_query("one")) == 1536
    assert [len(vector) for vector in embeddings.embed_documents(["one", "two"])] == [1536, 1536]
