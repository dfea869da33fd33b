"""Usage as OpenAI's chat API tells it."""

from typing import Any

from gateway.contract.usage import Usage


def usage_fields(usage: Usage) -> dict[str, Any]:
    """Read back by `Usage.from_openai`, it is the same, but for the two kinds of cache writes, which become one.

    Source: platform.openai.com/docs/api-reference/chat/object; `cache_write_tokens`: OpenAI's and OpenRouter's; read
    2026-11.
    """
    into, out = usage.input_tokens, usage.output_tokens
    written = usage.cache_write + usage.cache_write_1h
    fields: dict[str, Any] = {
        "prompt_tokens": into,
        "completion_tokens": out,
        "total_tokens": into + out,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "audio_tokens": usage.audio_input},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.audio_output},
    }
    if written:
        fields["prompt_tokens_details"]["cache_write_tokens"] = written
    if usage.image_input:
        fields["prompt_tokens_details"]["image_tokens"] = usage.image_input
    if usage.image_output:
        fields["completion_tokens_details"]["image_tokens"] = usage.image_output
    if usage.searches:
        fields["num_search_queries"] = usage.searches
    return fields
