"""Azure's clients in OpenAI's SDK, unchanged but for endpoint and key: no provider behind the gateway is Azure."""

import openai
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI

HELLO = [{"role": "user", "content": "Say hello"}]
VERSION = "2024-10-21"


def endpoint_of(gateway):
    return gateway.url.removesuffix("/v1")


@pytest.fixture
def client(one_gateway, token, llmock):
    with AzureOpenAI(azure_endpoint=endpoint_of(one_gateway), api_key=token, api_version=VERSION) as client:
        yield client


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_a_model_is_a_deployment(client, llmock):
    """With a slash in its name, which the SDK puts into the path as it is."""
    llmock.reply("Hello there")

    answer = client.chat.completions.create(model="llm/chat", messages=HELLO)

    assert answer.choices[0].message.content == "Hello there"
    assert llmock.last_request.body["model"] == "real-chat"


def test_a_stream(client, llmock):
    llmock.reply("Hello there")

    assert text_of(client.chat.completions.create(model="llm/chat", messages=HELLO, stream=True)) == "Hello there"


def test_embeddings(client, llmock):
    answer = client.embeddings.create(model="llm/vectors", input="one")

    assert len(answer.data) == 1


@pytest.mark.parametrize("deployment", ["llm/chat", "llm%2Fchat"])
async def test_a_deployment_of_the_client_wins_over_the_model(one_gateway, token, llmock, deployment):
    """What is written into the settings of an app is what counts, whatever its code says."""
    llmock.reply("Hello there")
    how = {"azure_endpoint": endpoint_of(one_gateway), "azure_ad_token": token, "api_version": VERSION}

    async with AsyncAzureOpenAI(azure_deployment=deployment, **how) as client:
        answer = await client.chat.completions.create(model="gpt-4o", messages=HELLO)

    assert answer.choices[0].message.content == "Hello there"


def test_what_belongs_to_no_deployment(client, llmock):
    llmock.reply("Hello there")

    assert "llm/chat" in [model.id for model in client.models.list()]
    assert client.responses.create(model="llm/chat", input="Say hello").output_text == "Hello there"


async def test_the_newer_base(one_gateway, token, llmock):
    llmock.reply("Hello there")

    async with AsyncOpenAI(base_url=f"{endpoint_of(one_gateway)}/openai/v1/", api_key=token) as client:
        answer = await client.chat.completions.create(model="llm/chat", messages=HELLO)

    assert answer.choices[0].message.content == "Hello there"


def test_errors_are_of_their_classes(client, one_gateway):
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="llm/no-such", messages=HELLO)
    with pytest.raises(openai.AuthenticationError) as stranger:
        client.with_options(api_key="another").chat.completions.create(model="llm/chat", messages=HELLO)

    assert unknown.value.code == "model_not_found"
    assert stranger.value.code == "invalid_api_key"
