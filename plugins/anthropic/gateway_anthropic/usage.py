"""Usage as the Messages API tells it.

Source: platform.claude.com/docs/en/api/messages and /build-with-claude/prompt-caching, read 2026-11.
"""

from typing import Self

import msgspec

from gateway.contract.usage import Usage

TIERS = {"standard": "default", "priority": "priority", "batch": "batch"}
"""Anthropic's names -> OpenAI's."""


class CacheCreation(msgspec.Struct):
    ephemeral_1h_input_tokens: int | None = None


class OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class ServerTools(msgspec.Struct):
    web_search_requests: int | None = None


class TokenUsage(msgspec.Struct):
    """`usage` on the wire. `input_tokens` are those that come from no cache and go into none; `output_tokens` are all,
    thinking included. In a stream it is told twice, and counts from the beginning each time."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: OutputDetails | None = None
    server_tool_use: ServerTools | None = None
    service_tier: str | None = None

    def over(self, earlier: Self | None) -> Self:
        """This, which was told later; what it does not tell is as it was told before."""
        if earlier is None:
            return self
        names = self.__struct_fields__
        told = {name: value for name in names if (value := getattr(self, name)) is not None}
        return msgspec.structs.replace(earlier, **told)

    @property
    def usage(self) -> Usage:
        written = _count(self.cache_creation_input_tokens)
        details = self.cache_creation
        hour = min(written, _count(details.ephemeral_1h_input_tokens)) if details is not None else 0
        output = _count(self.output_tokens)
        thought = self.output_tokens_details
        reasoning = min(output, _count(thought.thinking_tokens)) if thought is not None else 0
        tools = self.server_tool_use
        return Usage(
            input=_count(self.input_tokens),
            cache_read=_count(self.cache_read_input_tokens),
            cache_write=written - hour,
            cache_write_1h=hour,
            output=output - reasoning,
            reasoning=reasoning,
            searches=_count(tools.web_search_requests) if tools is not None else 0,
        )


def _count(told: int | None) -> int:
    return max(0, told or 0)
