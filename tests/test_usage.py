"""What providers report, put into classes that do not overlap."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.usage import OpenAIDetails, OpenAIUsage, Usage


def read(text):
    return Usage.from_openai(msgspec.json.decode(text, type=OpenAIUsage))


OPENAI = """{"prompt_tokens": 1117, "completion_tokens": 46, "total_tokens": 1163,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 0, "rejected_prediction_tokens": 0}}"""
# Reasoning stands beside completion_tokens: 32 + 9 + 220 = 261.
XAI = """{"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 261,
    "prompt_tokens_details": {"text_tokens": 32, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 220, "audio_tokens": 0}, "num_sources_used": 0}"""
DEEPSEEK = """{"prompt_tokens": 16, "completion_tokens": 10, "total_tokens": 26,
    "completion_tokens_details": {"reasoning_tokens": 4},
    "prompt_cache_hit_tokens": 12, "prompt_cache_miss_tokens": 4}"""
AUDIO = """{"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": 60},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 40}}"""
EMBEDDINGS = '{"prompt_tokens": 8, "total_tokens": 8}'
NULLS = """{"prompt_tokens": 5, "completion_tokens": null, "total_tokens": null,
    "prompt_tokens_details": null, "completion_tokens_details": null}"""


@pytest.mark.parametrize(
    ("text", "usage"),
    [
        (OPENAI, Usage(input=93, cache_read=1024, output=16, reasoning=30)),
        (XAI, Usage(input=24, cache_read=8, output=9, reasoning=220)),
        (DEEPSEEK, Usage(input=4, cache_read=12, output=6, reasoning=4)),
        (AUDIO, Usage(input=30, cache_read=10, audio_input=60, output=10, audio_output=40)),
        (EMBEDDINGS, Usage(input=8)),
        (NULLS, Usage(input=5)),
        ("{}", Usage()),
    ],
    ids=["OpenAI", "xAI", "DeepSeek", "audio", "embeddings", "null", "empty"],
)
def test_reads_what_vendors_report(text, usage):
    assert read(text) == usage


def test_counts_audio_from_the_cache_once():
    """80 of 100 tokens come from the cache and 40 are audio: 20 of them are both, and were billed twice."""
    text = '{"prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":80,"audio_tokens":40}}'

    assert read(text) == Usage(input=0, cache_read=80, audio_input=20)


def test_believes_the_whole_rather_than_a_part_that_is_larger():
    """One vendor counted the tokens of its own system prompt as cached."""
    text = '{"prompt_tokens":5,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":128}}'

    assert read(text) == Usage(cache_read=5, output=2)


counts = st.none() | st.integers(-5, 10**6)
details = st.none() | st.builds(OpenAIDetails, cached_tokens=counts, audio_tokens=counts, reasoning_tokens=counts)


@settings(deadline=None)
@given(st.builds(OpenAIUsage, counts, counts, counts, counts, details, details))
def test_adds_up_to_the_totals_and_is_never_negative(reported):
    """Cached tokens were billed twice by other gateways five times in two years."""
    usage = Usage.from_openai(reported)

    prompt, completion = max(0, reported.prompt_tokens or 0), max(0, reported.completion_tokens or 0)
    parts = (usage.input, usage.cache_read, usage.audio_input, usage.output, usage.reasoning, usage.audio_output)
    assert all(part >= 0 for part in parts)
    assert usage.input_tokens == prompt
    assert usage.output_tokens in (completion, (reported.total_tokens or 0) - prompt)


def test_leaves_zeros_out_of_the_log():
    assert msgspec.json.encode(Usage(input=3, output=1, estimated=True)) == b'{"input":3,"output":1,"estimated":true}'
