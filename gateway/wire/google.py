"""What Google's APIs say besides answers: what a call used, and errors.

Source: ai.google.dev/api/generate-content#UsageMetadata, /gemini-api/docs/tokens, /thinking and /caching;
docs.cloud.google.com/vertex-ai/docs/reference/rest (GenerateContentResponse.UsageMetadata); read 2026-11.
"""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, UpstreamError
from gateway.wire.failure import lenient_json
from gateway.wire.openai import told

TIERS: Mapping[str, str] = {
    "ON_DEMAND": "default",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
    "standard": "default",
}
"""Kind of traffic, or tier -> OpenAI's name; any other is passed on in lower case."""
NOT_A_REPLY = "the provider's answer is none of Google's generateContent"


class Count(msgspec.Struct, rename="camel", gc=False):
    modality: str = ""
    token_count: int = 0


class TokenUsage(msgspec.Struct, rename="camel", gc=False):
    """What is cached is part of the prompt; what tools have read, and thoughts, stand beside the rest."""

    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[Count] | None = None
    cache_tokens_details: list[Count] | None = None
    candidates_tokens_details: list[Count] | None = None
    tool_use_prompt_tokens_details: list[Count] | None = None
    traffic_type: str | None = None
    service_tier: str | None = None

    @property
    def tier(self) -> str | None:
        said = self.traffic_type or self.service_tier
        return TIERS.get(said, said.lower()) if said and not said.endswith("UNSPECIFIED") else None

    def usage(self, searches: int = 0) -> Usage:
        """In classes that do not overlap; what is cached is not counted again as audio or as a picture."""
        prompt, tools = _at_least_0(self.prompt_token_count), _at_least_0(self.tool_use_prompt_token_count)
        cached = min(_at_least_0(self.cached_content_token_count), prompt)
        audio_in = self._fresh("AUDIO", prompt - cached) + _of(self.tool_use_prompt_tokens_details, "AUDIO", tools)
        image_in = self._fresh("IMAGE", prompt + tools - cached - audio_in)
        output, thoughts = _at_least_0(self.candidates_token_count), _at_least_0(self.thoughts_token_count)
        if thoughts and self.total_token_count == prompt + tools + output and thoughts <= output:
            output -= thoughts  # some models count them in
        audio_out = _of(self.candidates_tokens_details, "AUDIO", output)
        image_out = _of(self.candidates_tokens_details, "IMAGE", output - audio_out)
        return Usage(
            input=prompt + tools - cached - audio_in - image_in,
            cache_read=cached,
            audio_input=audio_in,
            image_input=image_in,
            output=output - audio_out - image_out,
            reasoning=thoughts,
            audio_output=audio_out,
            image_output=image_out,
            searches=searches,
        )

    def _fresh(self, modality: str, most: int) -> int:
        cached = _of(self.cache_tokens_details, modality, 10**9)
        return min(max(0, _of(self.prompt_tokens_details, modality, 10**9) - cached), max(0, most))


def _of(details: Sequence[Count] | None, modality: str, most: int) -> int:
    found = sum(max(0, count.token_count) for count in details or () if count.modality == modality)
    return min(found, max(0, most))


def _at_least_0(count: int | None) -> int:
    return max(0, count or 0)


def error_of(body: bytes, *, is_passed_on: bool = False) -> UpstreamError:
    """What an error says that came instead of a reply, or in the middle of it.

    Args:
        is_passed_on: in its own words, without what looks like a key.
    """
    try:
        said = lenient_json(body)
    except ValueError:
        return BrokeOff(NOT_A_REPLY)
    if isinstance(said, list) and said:
        said, body = said[0], msgspec.json.encode(said[0])
    if not isinstance(said, dict) or not said.get("error"):
        return BrokeOff(NOT_A_REPLY)
    error = told(said, body if is_passed_on else None)
    status = said["error"].get("status") if isinstance(said["error"], dict) else None
    if isinstance(status, str) and status:
        error.code = status
    return error
