"""Streams as providers send them, to the bill: each class once, to the nano-dollar.

Prices are those of genai-prices 0.2.3 on the day of the stream, or private ones for providers that have none there.
Rates stand in nano-dollars for one token, so that each line is a product: $2 for a million tokens is 2000.
"""

import json
from datetime import UTC, datetime

import pytest

from gateway.config.compile.prices import price_of
from gateway.manifests.costs import PublicCost, TokenCost, TokenPrices
from gateway.wire.openai import StreamReading

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def private(**dollars_per_1000):
    return TokenCost(value=TokenPrices(**dollars_per_1000))


def event(data):
    return f"data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def said(text, finish=None, **more):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return event({"id": "c1", "object": "chat.completion.chunk", "choices": [choice], **more})


def last(usage, **more):
    return event({"id": "c1", "object": "chat.completion.chunk", "choices": [], "usage": usage, **more})


DONE = b"data: [DONE]\n\n"

OPENAI = (
    said("Hi", usage=None)
    + said("", "stop", usage=None)
    + last(
        {
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1024, "cache_write_tokens": 512, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 200,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        service_tier="default",
    )
    + DONE
)
OPENAI_AUDIO = (
    said("Hi")
    + said("", "stop")
    + last(
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 60},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 40},
        }
    )
    + DONE
)
AZURE = (
    event({"id": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]})
    + said("Hi")
    + said("", "stop")
    + last(
        {
            "prompt_tokens": 1200,
            "completion_tokens": 10,
            "total_tokens": 1210,
            "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }
    )
    + DONE
)
DEEPSEEK = (
    said("Hi", usage=None)
    + said(
        "",
        "stop",
        usage={
            "prompt_tokens": 16,
            "completion_tokens": 10,
            "total_tokens": 26,
            "prompt_tokens_details": {"cached_tokens": 12},
            "completion_tokens_details": {"reasoning_tokens": 4},
            "prompt_cache_hit_tokens": 12,
            "prompt_cache_miss_tokens": 4,
        },
    )
    + DONE
)
XAI = (
    said("Hi", usage={"prompt_tokens": 32, "completion_tokens": 1, "total_tokens": 253})
    + said("", "stop")
    + last(
        {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "total_tokens": 261,
            "prompt_tokens_details": {"text_tokens": 32, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 220, "audio_tokens": 0},
            "num_sources_used": 0,
        }
    )
    + DONE
)
GROQ_USAGE = {
    "queue_time": 0.04,
    "prompt_tokens": 120,
    "prompt_time": 0.002,
    "completion_tokens": 80,
    "completion_time": 0.1,
    "total_tokens": 200,
    "total_time": 0.102,
    "prompt_tokens_details": {"cached_tokens": 64},
    "completion_tokens_details": {"reasoning_tokens": 50},
}
GROQ = said("Hi") + said("", "stop", x_groq={"id": "req_1", "usage": GROQ_USAGE}) + last(GROQ_USAGE) + DONE
MISTRAL = (
    said("Hi")
    + said(
        "",
        "stop",
        usage={
            "prompt_tokens": 1000,
            "completion_tokens": 20,
            "total_tokens": 1020,
            "prompt_audio_seconds": None,
            "num_cached_tokens": 900,
            "prompt_tokens_details": {"cached_tokens": 900},
        },
    )
    + DONE
)
MISTRAL_AUDIO = (
    said("Ja.")
    + said(
        "",
        "stop",
        usage={
            "prompt_audio_seconds": 12,
            "prompt_tokens": 3,
            "total_tokens": 419,
            "completion_tokens": 41,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 375},
        },
    )
    + DONE
)
# What OpenRouter itself says it costs is what the bill comes to.
OPENROUTER = (
    b": OPENROUTER PROCESSING\n\n"
    + said("Hi")
    + said("", "stop")
    + last(
        {
            "prompt_tokens": 2000,
            "completion_tokens": 100,
            "total_tokens": 2100,
            "cost": 0.003675,
            "is_byok": False,
            "prompt_tokens_details": {"cached_tokens": 1500, "cache_write_tokens": 300, "audio_tokens": 0},
            "cost_details": {"upstream_inference_cost": None},
            "completion_tokens_details": {"reasoning_tokens": 40, "image_tokens": 0},
        }
    )
    + DONE
)
OPENROUTER_LONG = (
    said("Hi", "stop") + last({"prompt_tokens": 200_001, "completion_tokens": 1, "total_tokens": 200_002}) + DONE
)
GEMINI = said("Hi", "stop", usage={"prompt_tokens": 21, "completion_tokens": 13, "total_tokens": 94}) + DONE
TOGETHER = (
    said("Hi")
    + said(
        "",
        "eos",
        usage={"prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70, "cached_tokens": 0},
    )
    + DONE
)
FIREWORKS = (
    said("Hi")
    + said("", "stop")
    + last(
        {
            "prompt_tokens": 500,
            "total_tokens": 530,
            "completion_tokens": 30,
            "prompt_tokens_details": {"cached_tokens": 400},
        }
    )
    + DONE
)
VLLM = (
    said("Hi", usage={"prompt_tokens": 200, "total_tokens": 201, "completion_tokens": 1})
    + said("", "stop", usage={"prompt_tokens": 200, "total_tokens": 207, "completion_tokens": 7})
    + last({"prompt_tokens": 200, "total_tokens": 207, "completion_tokens": 7, "prompt_tokens_details": None})
    + DONE
)
OLLAMA = said("Hi") + last({"prompt_tokens": 26, "completion_tokens": 9, "total_tokens": 35}) + DONE
PERPLEXITY = said(
    "Hi", usage={"prompt_tokens": 20, "completion_tokens": 1, "total_tokens": 21, "search_context_size": "low"}
) + said(
    "",
    "stop",
    usage={
        "prompt_tokens": 20,
        "completion_tokens": 100,
        "total_tokens": 120,
        "search_context_size": "low",
        "cost": {"input_tokens_cost": 0.0, "output_tokens_cost": 0.002, "request_cost": 0.014, "total_cost": 0.016},
    },
    citations=["https://example.com/1"],
)
PERPLEXITY_RESEARCH = said(
    "Hi",
    "stop",
    usage={
        "prompt_tokens": 108,
        "completion_tokens": 3256,
        "total_tokens": 3364,
        "citation_tokens": 7299,
        "num_search_queries": 74,
        "reasoning_tokens": 73_248,
    },
)
ANTHROPIC = (
    said("Hi")
    + said("", "stop")
    + last(
        {
            "prompt_tokens": 25,
            "completion_tokens": 12,
            "total_tokens": 37,
            "prompt_tokens_details": None,
            "completion_tokens_details": None,
        }
    )
    + DONE
)
DATABRICKS = (
    said("Hi")
    + said("", "stop")
    + last(
        {
            "prompt_tokens": 1000,
            "completion_tokens": 50,
            "total_tokens": 1050,
            "cache_read_input_tokens": 600,
            "cache_creation_input_tokens": 300,
            "reasoning_tokens": 20,
        }
    )
    + DONE
)

REPLAYS = {
    "OpenAI": (
        (PublicCost(), "openai", "gpt-6.1-sol", OPENAI),
        [
            ("input", 470, 470 * 2000),
            ("cache_read", 1024, 1024 * 100),
            ("cache_write", 512, 512 * 2500),
            ("output", 100, 100 * 10_000),
            ("reasoning", 200, 200 * 10_000),
        ],
        5_322_400,
    ),
    "OpenAI, audio": (
        (PublicCost(), "openai", "gpt-audio", OPENAI_AUDIO),
        [
            ("input", 40, 40 * 2500),
            ("audio_input", 60, 60 * 32_000),
            ("output", 10, 10 * 10_000),
            ("audio_output", 40, 40 * 64_000),
        ],
        4_680_000,
    ),
    "Azure": (
        (PublicCost(), "azure-openai", "gpt-4o-mini", AZURE),
        [("input", 176, 176 * 150), ("cache_read", 1024, 1024 * 75), ("output", 10, 10 * 600)],
        109_200,
    ),
    "DeepSeek": (
        (private(input=0.00028, cache_read=0.000028, output=0.00042), "openai", "deepseek-chat", DEEPSEEK),
        [("input", 4, 4 * 280), ("cache_read", 12, 12 * 28), ("output", 6, 6 * 420), ("reasoning", 4, 4 * 420)],
        5656,
    ),
    "xAI": (
        (PublicCost(), "xai", "grok-4.6", XAI),
        [
            ("input", 24, 24 * 2000),
            ("cache_read", 8, 8 * 500),
            ("output", 9, 9 * 6000),
            ("reasoning", 220, 220 * 6000),
        ],
        1_426_000,
    ),
    "Groq": (
        (PublicCost(), "groq", "openai/gpt-oss-120b", GROQ),
        [("input", 56, 56 * 150), ("cache_read", 64, 64 * 75), ("output", 30, 30 * 600), ("reasoning", 50, 50 * 600)],
        61_200,
    ),
    "Mistral": (
        (PublicCost(), "mistral-ai", "mistral-medium-latest", MISTRAL),
        [("input", 100, 100 * 1500), ("cache_read", 900, 900 * 150), ("output", 20, 20 * 7500)],
        435_000,
    ),
    # Audio is $0.24 an hour, and not charged as tokens besides.
    "Mistral, audio": (
        (PublicCost(), "mistral-ai", "voxtral-small-latest", MISTRAL_AUDIO),
        [("input", 3, 3 * 100), ("output", 41, 41 * 400), ("audio_seconds", 12, 12 * 240_000_000 // 3600)],
        816_700,
    ),
    "OpenRouter": (
        (PublicCost(), "openrouter", "anthropic/claude-sonnet-4.5", OPENROUTER),
        [
            ("input", 200, 200 * 3000),
            ("cache_read", 1500, 1500 * 300),
            ("cache_write", 300, 300 * 3750),
            ("output", 60, 60 * 15_000),
            ("reasoning", 40, 40 * 15_000),
        ],
        3_675_000,
    ),
    "OpenRouter, long context": (
        (PublicCost(), "openrouter", "anthropic/claude-sonnet-4.5", OPENROUTER_LONG),
        [("input", 200_001, 200_001 * 6000), ("output", 1, 22_500)],
        1_200_028_500,
    ),
    "Gemini": (
        (PublicCost(), "google-gemini", "gemini-2.5-pro", GEMINI),
        [("input", 21, 21 * 1250), ("output", 13, 13 * 10_000), ("reasoning", 60, 60 * 10_000)],
        756_250,
    ),
    "Together": (
        (PublicCost(), "together-ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo", TOGETHER),
        [("input", 50, 50 * 880), ("output", 20, 20 * 880)],
        61_600,
    ),
    "Fireworks": (
        (private(input=0.0009, cache_read=0.00045, output=0.0009), "self-hosted-model", "kimi", FIREWORKS),
        [("input", 100, 100 * 900), ("cache_read", 400, 400 * 450), ("output", 30, 30 * 900)],
        297_000,
    ),
    "vLLM": (
        (private(input=0.0001, output=0.0002), "self-hosted-model", "llama", VLLM),
        [("input", 200, 200 * 100), ("output", 7, 7 * 200)],
        21_400,
    ),
    "Ollama": (
        (private(input=0, output=0), "ollama", "llama3", OLLAMA),
        [("input", 26, 0), ("output", 9, 0)],
        0,
    ),
    "Perplexity": (
        (PublicCost(), "perplexity-ai", "sonar-pro", PERPLEXITY),
        [("input", 20, 20 * 3000), ("output", 100, 100 * 15_000), ("requests", 1, 14_000_000)],
        15_560_000,
    ),
    "Perplexity, research": (
        (PublicCost(), "perplexity-ai", "sonar-deep-research", PERPLEXITY_RESEARCH),
        [
            ("input", 108, 108 * 2000),
            ("output", 3256, 3256 * 8000),
            ("reasoning", 73_248, 73_248 * 3000),
            ("citation", 7299, 7299 * 2000),
            ("searches", 74, 74 * 5_000_000),
        ],
        630_606_000,
    ),
    "Anthropic": (
        (PublicCost(), "anthropic", "claude-sonnet-4-5", ANTHROPIC),
        [("input", 25, 25 * 3000), ("output", 12, 12 * 15_000)],
        255_000,
    ),
    "Databricks": (
        (
            private(input=0.003, cache_read=0.0003, cache_write=0.00375, output=0.015),
            "databricks",
            "databricks-claude",
            DATABRICKS,
        ),
        [
            ("input", 100, 100 * 3000),
            ("cache_read", 600, 600 * 300),
            ("cache_write", 300, 300 * 3750),
            ("output", 30, 30 * 15_000),
            ("reasoning", 20, 20 * 15_000),
        ],
        2_355_000,
    ),
}


@pytest.mark.parametrize(("replayed", "lines", "cost"), REPLAYS.values(), ids=REPLAYS)
def test_a_stream_costs_what_its_bill_says(replayed, lines, cost):
    """Cached tokens billed twice, thinking not billed at all, negative costs: each has happened to others."""
    manifest, account, model, stream = replayed
    reading = StreamReading()
    for start in range(0, len(stream), 7):
        if not reading.is_over:
            reading.feed(stream[start : start + 7])

    bill = price_of(manifest, f"provider-account/{account}", model, None).bill(reading.usage(), NOON)

    assert [(line.name, line.amount, line.cost) for line in bill.lines] == lines
    assert (bill.cost, bill.unpriced) == (cost, ())
