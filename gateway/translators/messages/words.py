"""What the Messages API has words of its own for: why an answer ended, what it used, where something is from."""

from collections.abc import Mapping
from typing import Any

from gateway.contract.usage import Usage
from gateway.translators.said import Choice

STOPS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
"""Finish reason -> stop reason."""

_PLACES = ("start_index", "end_index")


def stop_of(choice: Choice, *, has_calls: bool) -> tuple[str, str | None]:
    """Stop reason, and the text that stopped it, where the provider tells. Raises BrokeOff: it was an error."""
    reason = choice.reason or "stop"
    if reason == "stop" and isinstance(choice.stop_reason, str):
        return "stop_sequence", choice.stop_reason
    stop = STOPS.get(reason, "end_turn")
    if stop in ("end_turn", "tool_use"):  # clients wait for calls that were announced
        stop = "tool_use" if has_calls else "end_turn"
    return stop, None


def usage_fields(usage: Usage | None) -> dict[str, Any]:
    """As the Messages API tells it: what was read from a cache, or written to one, is no part of `input_tokens`.

    Source: platform.claude.com/docs/en/api/messages, read 2026-11.
    """
    used = usage or Usage()
    written = used.cache_write + used.cache_write_1h
    fields: dict[str, Any] = {
        "input_tokens": used.input_tokens - used.cache_read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": used.cache_read,
        "output_tokens": used.output_tokens,
    }
    if used.reasoning:
        fields["output_tokens_details"] = {"thinking_tokens": used.reasoning}
    if used.searches:
        fields["server_tool_use"] = {"web_search_requests": used.searches}
    return fields


def citation_of(annotation: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where something is from, as Anthropic has it; None: it says nothing of that.

    Source: platform.claude.com/docs/en/build-with-claude/citations and /agents-and-tools/tool-use/web-search-tool.
    """
    match annotation:
        case {"url_citation": {"url": str(url), **more}}:
            about = {"url": url, "title": more.get("title"), "cited_text": "", "encrypted_index": ""}
            return {"type": "web_search_result_location", **about}
        case {"file_citation": {"type": str(), **citation}}:
            kept: dict[str, Any] = {str(name): value for name, value in citation.items() if name not in _PLACES}
            return {"type": annotation["file_citation"]["type"], **kept}
    return None
