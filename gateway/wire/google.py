"""What Google's APIs say besides answers: what a call used, and errors.

Source: ai.google.dev/api/generate-content#UsageMetadata, /gemini-api/docs/tokens, /thinking and /caching;
docs.cloud.google.com/vertex-ai/docs/reference/rest (GenerateContentResponse.UsageMetadata); read 2026-11.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

import msgspec

from gateway.contract.usage import Usage, count_of, whole_of
from gateway.errors import BrokeOff, UpstreamError
from gateway.wire.lenient import lenient_json
from gateway.wire.openai_failures import failure_told, told

TIERS: Mapping[str, str] = {
    "ON_DEMAND": "default",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
    "standard": "default",
}
"""Kind of traffic, or tier -> OpenAI's name; any other is passed on in lower case."""
NOT_A_REPLY = "the provider's answer is none of Google's generateContent"


class TokenUsage(msgspec.Struct, rename="camel", gc=False):
    """What is cached is part of the prompt; what tools have read, and thoughts, stand beside the rest.

    Others speak this API too, and not all of them well: a broken count costs only itself, not the answer.
    """

    prompt_token_count: Any = None
    cached_content_token_count: Any = None
    candidates_token_count: Any = None
    thoughts_token_count: Any = None
    tool_use_prompt_token_count: Any = None
    total_token_count: Any = None
    prompt_tokens_details: Any = None
    cache_tokens_details: Any = None
    candidates_tokens_details: Any = None
    tool_use_prompt_tokens_details: Any = None
    traffic_type: Any = None
    service_tier: Any = None

    @classmethod
    def of(cls, said: object) -> Self | None:
        """None: it is no object."""
        return msgspec.convert(said, cls) if isinstance(said, Mapping) else None

    @property
    def tier(self) -> str | None:
        said = self.traffic_type or self.service_tier
        if not isinstance(said, str) or said.endswith("UNSPECIFIED"):
            return None
        return TIERS.get(said, said.lower())

    def over(self, earlier: Self | None) -> Self:
        """This, which was told later; what it does not tell is as it was told before, and 0 replaces no count."""
        if earlier is None or (self.prompt_token_count and self.candidates_token_count):
            return self
        told = {name: value for name in self.__struct_fields__ if (value := getattr(self, name))}
        return msgspec.structs.replace(earlier, **told)

    def usage(self, searches: int = 0) -> Usage | None:
        """In classes that do not overlap; what is cached is not counted again as audio or as a picture.

        None: it counts nothing. Counts of 0 are mostly left out, so one that is missing is what the total leaves for
        it; without a total, it is untold.
        """
        prompt, tools = count_of(self.prompt_token_count), count_of(self.tool_use_prompt_token_count)
        output, thoughts = count_of(self.candidates_token_count), count_of(self.thoughts_token_count)
        tells_input = whole_of(self.prompt_token_count) is not None
        tells_output = bool(thoughts) or whole_of(self.candidates_token_count) is not None
        total = whole_of(self.total_token_count)
        untold: Literal["input", "output"] | None = None
        if total is None:
            if not tells_input and not tells_output:
                return None
            untold = "output" if not tells_output else None if tells_input else "input"
        elif not tells_output:
            output = max(0, count_of(total) - prompt - tools)
        elif not tells_input:
            prompt = max(0, count_of(total) - output - thoughts - tools)
        cached = min(count_of(self.cached_content_token_count), prompt)
        audio_in = self._fresh("AUDIO", prompt - cached) + _of(self.tool_use_prompt_tokens_details, "AUDIO", tools)
        image_in = self._fresh("IMAGE", prompt + tools - cached - audio_in)
        if thoughts and total == prompt + tools + output and thoughts <= output:
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
            untold=untold,
        )

    def _fresh(self, modality: str, most: int) -> int:
        cached = _of(self.cache_tokens_details, modality, 10**9)
        return min(max(0, _of(self.prompt_tokens_details, modality, 10**9) - cached), max(0, most))


def _of(details: object, modality: str, most: int) -> int:
    """Of a list of `{"modality": "AUDIO", "tokenCount": 7}`."""
    counts = [each for each in details if isinstance(each, Mapping)] if isinstance(details, list) else []
    found = sum(count_of(each.get("tokenCount")) for each in counts if each.get("modality") == modality)
    return min(found, max(0, most))


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
        return failure_told(body) or BrokeOff(NOT_A_REPLY)
    error = told(said, body if is_passed_on else None)
    status = said["error"].get("status") if isinstance(said["error"], dict) else None
    if isinstance(status, str) and status:
        error.code = status
    return error
