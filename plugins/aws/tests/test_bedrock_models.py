"""What the models on Bedrock can do, by their ids."""

import pytest
from gateway_aws.models import traits_of


@pytest.mark.parametrize(
    ("model", "thinks", "samplers", "has_schemas", "forces_tools"),
    [
        ("anthropic.claude-v2:1", set(), 3, False, False),
        ("anthropic.claude-3-haiku-20240307-v1:0", set(), 3, False, True),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", {"budget"}, 3, False, True),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", {"budget"}, 3, False, True),
        ("anthropic.claude-opus-4-1-20250805-v1:0", {"budget"}, 1, False, True),
        ("global.anthropic.claude-haiku-4-5-20251001-v1:0", {"budget"}, 1, True, True),
        ("anthropic.claude-opus-4-6-v1", {"budget", "adaptive"}, 1, True, True),
        ("us-gov.anthropic.claude-opus-4-8", {"adaptive"}, 0, True, True),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0", {"budget"}, 1, True,
         True),
        ("anthropic.claude-something-new", {"adaptive"}, 0, True, False),
    ],
)  # fmt: skip
def test_claude(model, thinks, samplers, has_schemas, forces_tools):
    """One whose version is not known is taken for the newest, which takes the least."""
    traits = traits_of(model)

    assert traits.family == "anthropic"
    assert (traits.thinks, traits.samplers) == (thinks, samplers)
    assert (traits.has_schemas, traits.forces_tools, traits.caches) == (has_schemas, forces_tools, True)


@pytest.mark.parametrize(
    ("model", "family", "caches", "has_schemas", "forces_tools"),
    [
        ("apac.amazon.nova-lite-v1:0", "nova", True, False, True),
        ("amazon.titan-text-express-v1", "amazon", False, False, False),
        ("us.meta.llama4-scout-17b-instruct-v1:0", "meta", False, False, False),
        ("mistral.mistral-large-2407-v1:0", "mistral", False, False, True),
        ("mistral.mistral-large-3-675b-instruct", "mistral", False, True, True),
        ("qwen.qwen3-32b-v1:0", "qwen", False, True, False),
        ("deepseek.v3-v1:0", "deepseek", False, True, False),
        ("us.deepseek.r1-v1:0", "deepseek", False, False, False),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456", "", True, False, True),
        ("arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc123def456", "", True, False, True),
    ],
)
def test_others(model, family, caches, has_schemas, forces_tools):
    traits = traits_of(model)

    assert (traits.family, traits.caches, traits.has_schemas, traits.forces_tools) == (
        family,
        caches,
        has_schemas,
        forces_tools,
    )
