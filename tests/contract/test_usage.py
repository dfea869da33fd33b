"""What providers report, put into classes that do not overlap."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.usage import AMOUNTS, OpenAIDetails, OpenAIUsage, Usage, count_of


def read(text):
    return Usage.from_openai(msgspec.json.decode(text))


OPENAI = """{"prompt_tokens": 1117, "completion_tokens": 46, "total_tokens": 1163,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0, "cache_write_tokens": 64},
    "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 0, "rejected_prediction_tokens": 0}}"""
# Reasoning stands beside completion_tokens: 32 + 9 + 220 = 261.
XAI = """{"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 261,
    "prompt_tokens_details": {"text_tokens": 24, "audio_tokens": 0, "image_tokens": 8, "cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 220, "audio_tokens": 0}, "num_sources_used": 0}"""
# Thinking is in the total, and nowhere else: 21 + 13 + 60 = 94.
GEMINI = '{"prompt_tokens": 21, "completion_tokens": 13, "total_tokens": 94}'
DEEPSEEK = """{"prompt_tokens": 16, "completion_tokens": 10, "total_tokens": 26,
    "completion_tokens_details": {"reasoning_tokens": 4},
    "prompt_cache_hit_tokens": 12, "prompt_cache_miss_tokens": 4}"""
AUDIO = """{"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": 60},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 40}}"""
IMAGES = """{"prompt_tokens": 20, "completion_tokens": 1300, "total_tokens": 1320,
    "prompt_tokens_details": {"cached_tokens": 0, "image_tokens": 15},
    "completion_tokens_details": {"reasoning_tokens": 5, "image_tokens": 1290}}"""
DATABRICKS = """{"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050,
    "cache_read_input_tokens": 600, "cache_creation_input_tokens": 300, "reasoning_tokens": 20}"""
LITELLM = """{"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050,
    "cache_read_input_tokens": 600, "cache_creation_input_tokens": 300,
    "prompt_tokens_details": {"cached_tokens": 600, "cache_creation_tokens": 300}}"""
ALIBABA = """{"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050,
    "prompt_tokens_details": {"cached_tokens": 0, "cache_creation_input_tokens": 900, "cache_type": "ephemeral"}}"""
# Anthropic's way of counting under OpenAI's names: 10 + 600 + 390 + 50 = 1050.
CACHE_BESIDE = """{"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 1050,
    "cache_read_input_tokens": 600, "cache_creation_input_tokens": 390}"""
MOONSHOT = '{"prompt_tokens": 19, "completion_tokens": 21, "total_tokens": 40, "cached_tokens": 10}'
# 3 + 41 + 375 = 419, and the 375 are the 12 seconds.
MISTRAL = """{"prompt_audio_seconds": 12, "prompt_tokens": 3, "total_tokens": 419, "completion_tokens": 41,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 375}}"""
PERPLEXITY = """{"prompt_tokens": 108, "completion_tokens": 3256, "total_tokens": 3364,
    "citation_tokens": 7299, "num_search_queries": 74, "reasoning_tokens": 73248}"""
EMBEDDINGS = '{"prompt_tokens": 8, "total_tokens": 8}'
NULLS = """{"prompt_tokens": 5, "completion_tokens": null, "total_tokens": null,
    "prompt_tokens_details": null, "completion_tokens_details": null}"""


@pytest.mark.parametrize(
    ("said", "nano"),
    [
        ('"cost": 0.00014', 140_000),
        ('"cost": 0.1', 100_000_000),
        ('"cost": 1.23456789012e-3', 1_234_568),
        ('"cost": 0', 0),
        ('"cost": 3', 3_000_000_000),
        ('"cost": 0.95, "is_byok": false, "cost_details": {"upstream_inference_cost": 0.95}', 950_000_000),
        ('"cost": 0.95, "is_byok": true, "cost_details": {"upstream_inference_cost": 19}', 19_950_000_000),
        ('"cost": 0, "is_byok": true, "cost_details": {"upstream_inference_cost": null}', None),
        ('"cost": {"input_tokens_cost": 0.001, "request_cost": 0.006, "total_cost": 0.007}', 7_000_000),
        ('"cost": {}', None),
        ('"cost": null', None),
        ('"cost": -0.01', None),
        ('"cost": 1000.01', None),
        ('"cost": 1e308', None),
        ('"cost": true', None),
        ('"cost": "0.5"', None),
        ('"cost": [1]', None),
    ],
)
def test_a_stated_cost_is_read_to_the_nano_dollar_or_not_at_all(said, nano):
    """Who brings a key of their own to OpenRouter pays its fee and the vendor."""
    assert read(f'{{"prompt_tokens": 5, "completion_tokens": 2, {said}}}') == Usage(input=5, output=2, stated_cost=nano)


def test_a_cost_that_is_no_number_is_not_believed():
    """Python's JSON, by which broken answers are read, knows such numbers."""
    for said in (float("nan"), float("inf")):
        assert Usage.from_openai({"prompt_tokens": 5, "completion_tokens": 0, "cost": said}) == Usage(input=5)


def test_a_stated_cost_survives_a_later_usage_that_states_none():
    assert Usage(input=5).over(Usage(input=4, output=2, stated_cost=7)) == Usage(input=5, output=2, stated_cost=7)


@pytest.mark.parametrize(
    ("text", "usage"),
    [
        (OPENAI, Usage(input=29, cache_read=1024, cache_write=64, output=16, reasoning=30)),
        (XAI, Usage(input=16, cache_read=8, image_input=8, output=9, reasoning=220)),
        (GEMINI, Usage(input=21, output=13, reasoning=60)),
        (DEEPSEEK, Usage(input=4, cache_read=12, output=6, reasoning=4)),
        (AUDIO, Usage(input=30, cache_read=10, audio_input=60, output=10, audio_output=40)),
        (IMAGES, Usage(input=5, image_input=15, output=5, reasoning=5, image_output=1290)),
        (DATABRICKS, Usage(input=100, cache_read=600, cache_write=300, output=30, reasoning=20)),
        (LITELLM, Usage(input=100, cache_read=600, cache_write=300, output=50)),
        (ALIBABA, Usage(input=100, cache_write=900, output=50)),
        (CACHE_BESIDE, Usage(input=10, cache_read=600, cache_write=390, output=50)),
        (MOONSHOT, Usage(input=9, cache_read=10, output=21)),
        (MISTRAL, Usage(input=3, output=41, audio_seconds=12)),
        (PERPLEXITY, Usage(input=108, output=3256, reasoning=73248, citation=7299, searches=74)),
        (EMBEDDINGS, Usage(input=8)),
        (NULLS, Usage(input=5, untold="output")),
    ],
    ids=[
        "OpenAI",
        "xAI",
        "Gemini",
        "DeepSeek",
        "audio",
        "images",
        "Databricks",
        "LiteLLM",
        "Alibaba",
        "cache beside",
        "Moonshot",
        "Mistral audio",
        "Perplexity",
        "embeddings",
        "null",
    ],
)
def test_reads_what_vendors_report(text, usage):
    assert read(text) == usage


def test_counts_audio_from_the_cache_once():
    """80 of 100 tokens come from the cache and 40 are audio: 20 of them are both, and were billed twice."""
    text = '{"prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":80,"audio_tokens":40}}'

    assert read(text) == Usage(input=0, cache_read=80, audio_input=20, untold="output")


def test_believes_the_whole_rather_than_a_part_that_is_larger():
    """One vendor counted the tokens of its own system prompt as cached."""
    text = '{"prompt_tokens":5,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":128}}'

    assert read(text) == Usage(cache_read=5, output=2)


def test_does_not_believe_absurd_counts():
    """The sum of many calls has to fit into a column of the database."""
    assert read('{"prompt_tokens":99999999999999999999999,"completion_tokens":-7}') == Usage(
        input=10**9, untold="output"
    )


counts = st.none() | st.integers(-5, 10**6)
details = st.none() | st.builds(
    OpenAIDetails,
    cached_tokens=counts,
    cache_write_tokens=counts,
    audio_tokens=counts,
    image_tokens=counts,
    reasoning_tokens=counts,
)
reports = st.builds(
    OpenAIUsage,
    prompt_tokens=counts,
    completion_tokens=counts,
    total_tokens=counts,
    prompt_cache_hit_tokens=counts,
    prompt_tokens_details=details,
    completion_tokens_details=details,
    cached_tokens=counts,
    cache_read_input_tokens=counts,
    cache_creation_input_tokens=counts,
    reasoning_tokens=counts,
)


@given(reports)
def test_adds_up_to_the_totals_and_is_never_negative(reported):
    """Cached tokens were billed twice by other gateways five times in two years."""
    usage = Usage.from_openai(msgspec.to_builtins(reported)) or Usage()

    prompt, completion = max(0, reported.prompt_tokens or 0), max(0, reported.completion_tokens or 0)
    assert all(getattr(usage, name) >= 0 for name in AMOUNTS)
    assert usage.input_tokens >= prompt
    assert usage.output_tokens >= completion
    assert usage.input_tokens + usage.output_tokens == max(prompt + completion, reported.total_tokens or 0)


@pytest.mark.parametrize(
    ("text", "usage"),
    [
        ('{"prompt_tokens":100.0,"completion_tokens":"20"}', Usage(input=100, output=20)),
        ('{"prompt_tokens":100,"completion_tokens":20,"total_tokens":"many"}', Usage(input=100, output=20)),
        ('{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":[]}', Usage(input=100, output=20)),
        ('{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":"none"}', Usage(input=100, output=20)),
        ('{"prompt_tokens":100,"completion_tokens":20,"reasoning_tokens":"7"}', Usage(100, output=13, reasoning=7)),
        ('{"prompt_tokens":100,"completion_tokens":20,"cached_tokens":false}', Usage(input=100, output=20)),
        ('{"prompt_tokens":100,"completion_tokens":20,"reasoning_tokens":7.5}', Usage(input=100, output=20)),
        ('{"prompt_tokens":100,"completion_tokens":{"text":20}}', Usage(input=100, untold="output")),
        ('{"prompt_tokens":1e2,"completion_tokens":2e1}', Usage(input=100, output=20)),
        ('{"prompt_tokens":true,"completion_tokens":20}', Usage(output=20, untold="input")),
        (
            '{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":"40","audio_tokens":{}}}',
            Usage(input=60, cache_read=40, output=20),
        ),
        (
            '{"prompt_tokens":100,"completion_tokens":20,"total_tokens":495,"prompt_audio_seconds":1.5}',
            Usage(input=100, output=20, audio_seconds=2),
        ),
        ('{"prompt_tokens":100,"completion_tokens":20,"prompt_audio_seconds":1e400}', Usage(input=100, output=20)),
    ],
)
def test_a_broken_part_costs_only_itself(text, usage):
    """One odd field made the gateway throw all of the usage away, and bill 500 tokens for one word."""
    assert Usage.from_openai(json.loads(text)) == usage


@pytest.mark.parametrize(
    "said",
    [{}, [], "12", None, 7, {"prompt_tokens": None, "completion_tokens": None}, {"tokens": 7}, {"prompt_tokens": "x"}],
)
def test_usage_without_a_known_count_is_none(said):
    """It was billed as nothing at all."""
    assert Usage.from_openai(said) is None


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({"input_tokens": 9, "output_tokens": 2}, Usage(input=9, output=2)),
        (
            {"input_tokens": 9, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 4}},
            Usage(input=5, cache_read=4, output=5),
        ),
        (
            {"input_tokens": 9, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 3}},
            Usage(input=9, output=2, reasoning=3),
        ),
        (
            {"input_tokens": 14, "output_tokens": 3, "input_token_details": {"text_tokens": 4, "audio_tokens": 10}},
            Usage(input=4, audio_input=10, output=3),
        ),
        ({"type": "duration", "seconds": 8.2}, Usage(audio_seconds=9)),
        ({"total_tokens": 8}, Usage(input=8)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage()),
    ],
)
def test_knows_the_names_of_newer_apis(said, usage):
    assert Usage.from_openai(said) == usage


@pytest.mark.parametrize(
    ("earlier", "later", "usage"),
    [
        (Usage(input=9, output=4), Usage(), Usage(input=9, output=4)),
        (Usage(input=9), Usage(output=4), Usage(input=9, output=4)),
        (Usage(input=9, output=1), Usage(input=9, output=4), Usage(input=9, output=4)),
        (Usage(cache_read=9, reasoning=3), Usage(input=2), Usage(input=2, reasoning=3)),
        (None, Usage(), Usage()),
        (Usage(input=9, untold="output"), Usage(output=4, untold="input"), Usage(input=9, output=4)),
        (Usage(input=9, output=4), Usage(input=9, untold="output"), Usage(input=9, output=4)),
        (Usage(input=8, untold="output"), Usage(input=9, untold="output"), Usage(input=9, untold="output")),
    ],
)
def test_zero_replaces_no_earlier_count(earlier, later, usage):
    assert later.over(earlier) == usage


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({"prompt_tokens": 9}, Usage(input=9, untold="output")),
        ({"prompt_tokens": 9, "completion_tokens": None}, Usage(input=9, untold="output")),
        ({"prompt_tokens": 9, "total_tokens": 9}, Usage(input=9)),
        ({"output_tokens": 4}, Usage(output=4, untold="input")),
        ({"completion_tokens": 4, "total_tokens": 4}, Usage(output=4, untold="input")),
        ({"prompt_tokens": 9, "total_tokens": 13}, Usage(input=9, output=4)),
        ({"completion_tokens": 4, "total_tokens": 13}, Usage(input=9, output=4)),
        ({"prompt_tokens": 9, "completion_tokens": 0}, Usage(input=9)),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 3}},
            Usage(input=6, cache_read=3, untold="output"),
        ),
    ],
)
def test_a_half_that_is_not_told_is_none_that_was_nothing(said, usage):
    """It was billed as 0, and what the total told of it as reasoning."""
    assert Usage.from_openai(said) == usage


def test_a_half_is_completed_by_an_estimate_and_marked_as_one():
    told, guess = Usage(input=9, untold="output"), Usage(input=100, output=7, estimated=True)

    assert told.completed(guess) == Usage(input=9, output=7, estimated=True)
    assert Usage(output=4, untold="input").completed(guess) == Usage(input=100, output=4, estimated=True)
    assert told.completed(Usage(input=100, estimated=True)) == Usage(input=9)
    assert Usage(input=9).completed(guess) == Usage(input=9)


def test_leaves_zeros_out_of_the_log():
    assert msgspec.json.encode(Usage(input=3, output=1, estimated=True)) == b'{"input":3,"output":1,"estimated":true}'


@pytest.mark.parametrize(
    ("said", "count"),
    [(7, 7), (7.0, 7), ("7", 7), ("7.0", 7), (" 7 ", 7), (10**30, 10**9), (-7, 0), (7.5, 0), (True, 0), ([], 0)],
)
def test_a_count_is_read_as_servers_write_it(said, count):
    """Of the APIs that have no reading of their own for odd usage, as Anthropic's and Google's."""
    assert count_of(said) == count
