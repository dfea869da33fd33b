"""Guardrails in a running gateway, as the SDKs of OpenAI and Anthropic meet them."""

import asyncio
import json
import subprocess
import sys

import openai
import pytest
from anthropic import APIError, AsyncAnthropic
from openai import AsyncOpenAI

pytest.importorskip("re2")

SECRET = "AKIAIOSFODNN7EXAMPLQ"
HELLO = [{"role": "user", "content": "mail ana@example.com"}]


def integration(kind, name, operation, **fields):
    return {
        "type": f"integration/guardrail-config/{kind}",
        "name": name,
        "operation": operation,
        "enforcing_strategy": "enforce",
        **fields,
    }


GROUP = {
    "type": "provider-account/guardrail-config-group",
    "name": "safety",
    "integrations": [
        integration("tfy-pii", "pii", "mutate", config={"pii_categories": ["*"]}),
        integration("secret-detection", "secrets", "mutate"),
        integration("word-list", "words", "validate", config={"words": ["zebra"]}),
        integration("llm-judge", "judge", "validate", config={"model": "mock/judge", "policy": "no cats"}),
    ],
}
RULES = {
    "type": "gateway-guardrails-config",
    "rules": [
        {
            "id": "r",
            "when": {"target": {"conditions": {"model": {"condition": "in", "values": ["mock/chat"]}}}},
            "llm_input_guardrails": ["safety/pii"],
            "llm_output_guardrails": ["safety/secrets", "safety/words"],
            "mcp_tool_pre_invoke_guardrails": [],
            "mcp_tool_post_invoke_guardrails": [],
        }
    ],
}


@pytest.fixture(scope="module")
def guarded(gateway_of_module, account, provider_url):
    mock = account("mock", provider_url)
    chat = mock["integrations"][0]
    mock["integrations"] += [{**chat, "name": "judge", "hosted_model_name": "real-judge"}]
    return gateway_of_module(config=json.dumps([mock, GROUP, RULES]))


@pytest.fixture
async def client(guarded, token):
    async with AsyncOpenAI(base_url=guarded.url, api_key=token, max_retries=0) as client:
        yield client


async def test_a_stream_without_the_secret(client, provider, say):
    provider.on("real-chat", say.stream("the key is ", *SECRET, " indeed"))

    stream = await client.chat.completions.create(model="mock/chat", messages=HELLO, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    assert text == "the key is [REDACTED] indeed"
    assert provider.requests[-1].fields["messages"][0]["content"] == "mail [EMAIL]"


async def test_nothing_stands_aside(client, provider, say):
    """What tools are for, the form of the answer, a name in an object of a tool, and an earlier message."""
    mail = "ana@example.com"
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"to": {mail: 1}})}}
    tool = {"type": "function", "function": {"name": "f", "description": mail, "parameters": {"title": mail}}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "description": mail}}}
    asked = [*HELLO, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "1", "content": "."}]
    provider.on("real-chat", [say.completion("hello")])

    await client.chat.completions.create(
        model="mock/chat",
        messages=asked,
        tools=[tool],
        response_format=form,
        user=mail,
        extra_headers={"x-tfy-guardrails-scope": "last"},
    )

    sent = provider.requests[-1]
    assert b"example.com" not in sent.body
    assert sent.fields["tools"][0]["function"] == {
        "name": "f",
        "description": "[EMAIL]",
        "parameters": {"title": "[EMAIL]"},
    }
    assert sent.fields["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"to":{"[EMAIL]":1}}'


async def test_an_answer_that_is_blocked(client, provider, say):
    heard = asyncio.Event()
    begun = [say.STREAM, *[say.chunk(say.event("x "))] * 40, heard, say.chunk(say.event("zebra ")), say.END]
    provider.on("real-chat", say.stream("a ", "zebra"), [say.completion("a zebra")], begun)

    with pytest.raises(openai.BadRequestError) as streamed:
        await client.chat.completions.create(model="mock/chat", messages=HELLO, stream=True)
    with pytest.raises(openai.BadRequestError) as whole:
        await client.chat.completions.create(model="mock/chat", messages=HELLO)
    stream = await client.chat.completions.create(model="mock/chat", messages=HELLO, stream=True)
    await anext(aiter(stream))
    heard.set()
    with pytest.raises(openai.APIError, match="safety/words"):
        [chunk async for chunk in stream]

    for refused in (streamed.value, whole.value):
        assert refused.body["type"] == "guardrail_checks_failed"
        assert "[safety/words]: found word_list" in refused.message


async def test_an_anthropic_client(guarded, token, provider, say):
    provider.on("real-chat", say.stream("the key is ", *SECRET), say.stream("zebra"))

    async with AsyncAnthropic(base_url=guarded.url.removesuffix("/v1"), api_key=token, max_retries=0) as client:
        async with client.messages.stream(model="mock/chat", max_tokens=99, messages=HELLO) as stream:
            text = "".join([text async for text in stream.text_stream])
        with pytest.raises(APIError, match="safety/words"):  # the head of the message may be out by then
            await heard(client)

    assert text == "the key is [REDACTED]"


async def heard(client):
    async with client.messages.stream(model="mock/chat", max_tokens=99, messages=HELLO) as stream:
        return await stream.get_final_text()


async def test_a_model_that_judges(client, provider, say, guarded):
    """What it costs is in the bill of the request that it judged."""
    provider.on("real-judge", [say.completion('{"violation": true, "reason": "about a cat"}')])
    provider.on("real-chat", [say.completion("hello")])
    headers = {"x-tfy-guardrails": json.dumps({"llm_input_guardrails": ["safety/judge"]})}

    with pytest.raises(openai.BadRequestError, match="about a cat"):
        await client.chat.completions.create(model="mock/chat", messages=HELLO, extra_headers=headers)


def test_the_command(guarded, token):
    command = [sys.executable, "-m", "gateway", "guardrails", "test", "--url", guarded.url.removesuffix("/v1")]
    environ = {"PATH": "/usr/bin", "GATEWAY_TOKEN": token}

    def run(*args):
        return subprocess.run([*command, *args], env=environ, capture_output=True, text=True, check=False)

    changed = run("-g", "safety/pii", "mail ana@example.com", "hello")
    blocked = run("-g", "safety/words", "-g", "safety/secrets", "--hook", "llm_output", "a zebra")

    assert changed.returncode == 0
    assert "changed to: mail [EMAIL]" in changed.stdout
    assert blocked.returncode == 1
    assert blocked.stdout.splitlines()[0].split() == ["GUARDRAIL", "RESULT", "WHY", "TOOK"]
    assert "safety/words" in blocked.stdout
