"""Against llmock, which others have written to behave like the Gemini API."""

import httpx2
import openai
import pytest
from gateway_google.provider import Google

from gateway import build_app

TOKEN = "gw-test-0123456789abcdef"
MANIFEST = """\
type: provider-account/google-gemini
name: google
auth_data: {{type: api-key, apiKey: k-0123456789}}
base_url: {url}/gemini/v1beta
integrations:
  - {{type: integration/model/gemini, name: flash, model_id: gemini-2.5-flash, model_types: [chat]}}
"""
ASK = {"model": "google/flash", "messages": [{"role": "user", "content": "hi"}]}
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
async def client(llmock, tmp_path):
    path = tmp_path / "google.yaml"
    path.write_text(MANIFEST.format(url=llmock.url))
    app = build_app(path, environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, providers=[Google()])
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
    options = {"base_url": "http://gateway.test/v1", "api_key": TOKEN, "max_retries": 0}
    async with openai.AsyncOpenAI(**options, http_client=http) as made:
        yield made
    await app.close()


async def test_whole(client, llmock):
    llmock.reply("Hello there")

    answer = await client.chat.completions.create(**ASK)

    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Hello there", "stop")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


async def test_streamed(client, llmock):
    llmock.reply("Hello there, all of you")

    async with client.chat.completions.stream(**ASK) as stream:
        answer = await stream.get_final_completion()

    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Hello there, all of you", "stop")


@pytest.mark.parametrize("stream", [False, True])
async def test_tools(client, llmock, stream):
    llmock.call_tool("look", {"at": "x"})

    if stream:
        async with client.chat.completions.stream(**ASK, tools=[LOOK]) as events:
            answer = await events.get_final_completion()
    else:
        answer = await client.chat.completions.create(**ASK, tools=[LOOK])

    (call,) = answer.choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments, answer.choices[0].finish_reason) == (
        "look",
        '{"at":"x"}',
        "tool_calls",
    )


@pytest.mark.parametrize("fault", ["disconnect", "truncate", "corrupt"])
async def test_a_stream_that_goes_wrong_is_never_taken_for_an_answer(client, llmock, fault):
    llmock.reply("Hello there, all of you, and good night")
    getattr(llmock, fault)(after_chunks=2)

    with pytest.raises(openai.APIError):
        async for _ in await client.chat.completions.create(**ASK, stream=True):
            pass


async def test_a_rate_limit_says_when_to_come_again(client, llmock):
    llmock.rate_limit(retry_after=7)

    with pytest.raises(openai.RateLimitError) as raised:
        await client.chat.completions.create(**ASK)

    assert raised.value.response.headers["retry-after"] == "7"
