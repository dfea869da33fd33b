"""What is said of a type that nobody reads."""

import pytest

from gateway.config.compile.snapshot import types_of
from gateway.manifests.unread import IN_PLUGINS, NOT_YET, why_unread
from gateway.plugins import providers_by_type

KNOWN = types_of(providers_by_type()) - IN_PLUGINS.keys()


@pytest.mark.parametrize(
    ("type_", "why"),
    [
        ("provider-account/palm", "provider-account/palm is not supported yet"),
        ("alert-config", "alert-config is not supported yet"),
        ("mcp-server/remote", "mcp-server/remote is not supported yet"),
        (
            "provider-account/azure-openai",
            "provider-account/azure-openai is read by the plugin llm-asgi-gateway-azure, which is not installed",
        ),
        ("azure-openai", "no plugin reads azure-openai; did you mean `provider-account/azure-openai`?"),
        ("provider-account/opanai", "no plugin reads provider-account/opanai; did you mean `provider-account/openai`?"),
        (
            "provider-account/anthropc",
            "no plugin reads provider-account/anthropc; did you mean `provider-account/anthropic`?",
        ),
        ("openai", "no plugin reads openai; did you mean `provider-account/openai`?"),
        ("palm", "no plugin reads palm; not supported yet: provider-account/palm"),
        (
            "provider-account/google",
            "no plugin reads provider-account/google; did you mean `provider-account/google-gemini` or "
            "`provider-account/google-vertex`?",
        ),
        ("sagemaker", "no plugin reads sagemaker; did you mean `provider-account/aws-sagemaker`?"),
        (
            "bedrock",
            "no plugin reads bedrock; did you mean `provider-account/aws-bedrock` or "
            "`provider-account/aws-bedrock-mantle`?",
        ),
        (
            "foundry",
            "no plugin reads foundry; did you mean `provider-account/azure-foundry` or "
            "`provider-account/microsoft-foundry`?",
        ),
        ("mantle", "no plugin reads mantle; did you mean `provider-account/aws-bedrock-mantle`?"),
        ("smallest", "no plugin reads smallest; did you mean `provider-account/smallest-ai`?"),
        (
            "provider-account/nvidia-nim",
            "no plugin reads provider-account/nvidia-nim; whoever has an API like OpenAI's can be a "
            "provider-account/self-hosted-model",
        ),
        (
            "provider-account/",
            "no plugin reads provider-account/; whoever has an API like OpenAI's can be a "
            "provider-account/self-hosted-model",
        ),
        ("Deployment", "no plugin reads Deployment"),
    ],
)
def test_says_why(type_, why):
    """`anthropic` was answered with `did you mean nomic?`."""
    assert why_unread(type_, KNOWN) == why


def test_what_is_read_is_not_among_those_that_are_not():
    assert not NOT_YET & KNOWN
