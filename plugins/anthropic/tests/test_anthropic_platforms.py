"""Bodies of the Messages API where it is not Anthropic's own; the SDK makes the same of them."""

import msgspec
import pytest
from gateway_anthropic.flavour import FLAVOURS
from gateway_anthropic.translator import (
    ToMessages,
    to_aws,
    to_bedrock,
    to_foundry,
    to_mantle,
    to_vertex,
    verbatim_bedrock,
    verbatim_foundry,
    verbatim_vertex,
)

from gateway.contract import Call, JsonBody, Request
from gateway.dialects import MESSAGES

BETAS = ["context-management-2025-06-27"]
SAID = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]


def body_of(made, call):
    body = made.request(call, "claude-sonnet-4-5")
    return msgspec.json.decode(msgspec.json.encode(body.fields)), body.dropped_params


@pytest.mark.parametrize(
    ("make", "format_"),
    [
        (to_aws, "anthropic-on-aws"),
        (to_mantle, "anthropic-mantle"),
        (to_bedrock, "anthropic-bedrock"),
        (to_vertex, "anthropic-vertex"),
        (to_foundry, "anthropic-foundry"),
    ],
)
def test_each_is_a_format_of_its_own(make, format_):
    """Other plugins find it by that, and import nothing of this one."""
    made = make()

    assert (made.dialect, made.format) == ("chat", format_)
    assert FLAVOURS.keys() == {
        "anthropic",
        "anthropic-on-aws",
        "anthropic-mantle",
        "anthropic-bedrock",
        "anthropic-vertex",
        "anthropic-foundry",
    }


def test_invoke_model(chat):
    """As `_prepare_options` of `AnthropicBedrock` has it: the model and whether to stream are in the path."""
    body, dropped = body_of(to_bedrock(), chat(max_tokens=9, stream=True, anthropic_beta=BETAS, mcp_servers=[]))

    assert body == {
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": BETAS,
        "max_tokens": 9,
        "messages": SAID,
    }
    assert dropped == ("mcp_servers",)


def test_vertex(chat):
    """As `_prepare_options` of `AnthropicVertex` has it: the model is in the path, and whether to stream in both."""
    body, dropped = body_of(to_vertex(), chat(max_tokens=9, stream=True, anthropic_beta=BETAS, inference_geo="us"))

    assert body == {
        "anthropic_version": "vertex-2023-10-16",
        "anthropic_beta": BETAS,
        "max_tokens": 9,
        "messages": SAID,
        "stream": True,
    }
    assert dropped == ("inference_geo",)


@pytest.mark.parametrize(("tier", "dropped"), [("auto", ()), ("priority", ("service_tier",)), ("default", ())])
def test_tiers_are_anthropics_own(chat, tier, dropped):
    body, told = body_of(to_foundry(), chat(service_tier=tier))
    assert (body.get("service_tier"), told) == (None, dropped)

    body, _ = body_of(ToMessages(), chat(service_tier="priority"))
    assert body["service_tier"] == "auto"


def message(headers, **fields):
    fields = {"model": "a/m", "max_tokens": 9, "messages": SAID, **fields}
    body = JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()})
    request = Request(body=body, headers=headers)
    return Call(MESSAGES, MESSAGES.parse(request), request)


@pytest.mark.parametrize(
    ("make", "version", "stream", "search"),
    [(verbatim_bedrock, "bedrock-2023-05-31", {}, []), (verbatim_vertex, "vertex-2023-10-16", {"stream": True}, ["w"])],
)
def test_headers_of_the_messages_api_become_fields_on_clouds(make, version, stream, search):
    """They were lost on the way: a feature that was asked for was not there, and nobody was told."""
    betas = [*BETAS, *(["web-search-2025-03-05"] if search else [])]
    asked = {"anthropic-version": "2023-06-01", "anthropic-beta": ", ".join(["claude-code-20250219", *betas])}

    body, dropped = body_of(make(), message(asked, stream=True))
    later, _ = body_of(make(), message({"anthropic-version": "2026-10-21"}))

    assert body == {
        "anthropic_version": version,
        "anthropic_beta": betas,
        "max_tokens": 9,
        "messages": SAID,
        **stream,
    }
    assert dropped == ("anthropic-beta",)
    assert (later["anthropic_version"], "anthropic_beta" in later) == ("2026-10-21", False)


def test_where_they_are_headers_they_are_no_fields():
    body, dropped = body_of(verbatim_foundry(), message({"anthropic-beta": "context-1m-2025-08-07"}))

    assert body == {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": SAID}
    assert dropped == ()
