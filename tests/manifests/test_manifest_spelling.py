"""A guess helps when it is near, and misleads when it is not."""

import pytest

from gateway.manifests.spelling import closest, did_you_mean, slips

TYPES = [
    "provider-account/openai",
    "provider-account/groq",
    "provider-account/nomic",
    "provider-account/wafer",
    "provider-account/xai",
    "provider-account/webhook",
    "gateway-budget-config",
]


@pytest.mark.parametrize(
    ("one", "other", "number"),
    [
        ("", "", 0),
        ("a", "", 1),
        ("openai", "opneai", 1),
        ("openai", "opanai", 1),
        ("ca", "abc", 3),
        ("kitten", "sitting", 3),
    ],
)
def test_counts_slips(one, other, number):
    assert slips(one, other, 9) == slips(other, one, 9) == number


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("provider-account/opanai", "provider-account/openai"),
        ("provider-account/opneai", "provider-account/openai"),
        ("provider-account/OpenAI", "provider-account/openai"),
        ("provider_account/openai", "provider-account/openai"),
        ("provider-account/grok", "provider-account/groq"),
        ("gateway-bugdet-confg", "gateway-budget-config"),
    ],
)
def test_a_slip_of_the_pen(word, name):
    assert closest(word, TYPES) == name


@pytest.mark.parametrize(
    "word",
    [
        "provider-account/anthropic",
        "provider-account/google",
        "provider-account/azure",
        "provider-account/aws-bedrock",
        "provider-account/ai",
        "gateway-guardrails-config",
        "custom-endpoint",
        "",
    ],
)
def test_another_word(word):
    """Once `anthropic` was taken for `nomic`, and `azure` for `wafer`."""
    assert closest(word, TYPES) is None
    assert did_you_mean(word, TYPES) == ""


def test_the_nearest_of_several():
    assert did_you_mean("integratons", ["integration", "integrations"]) == "; did you mean `integrations`?"
    assert did_you_mean("x", []) == ""
