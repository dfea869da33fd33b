"""What a call used, in token classes that never overlap: their sum is the total, so nothing is billed twice."""

from typing import Self

import msgspec


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Tokens by class. `estimated`: the provider gave no numbers, and these were counted from what passed by."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    audio_input: int = 0
    output: int = 0
    reasoning: int = 0
    audio_output: int = 0
    estimated: bool = False

    @property
    def input_tokens(self) -> int:
        return self.input + self.cache_read + self.cache_write + self.audio_input

    @property
    def output_tokens(self) -> int:
        return self.output + self.reasoning + self.audio_output

    @classmethod
    def from_openai(cls, usage: "OpenAIUsage") -> Self:
        """From the `usage` object of OpenAI's chat, completions and embeddings.

        There the parts are included in the whole: `cached_tokens` in `prompt_tokens`, `reasoning_tokens` in
        `completion_tokens`. xAI counts reasoning beside `completion_tokens`; `total_tokens` tells which it is.

        Source: platform.openai.com/docs/api-reference/chat/object; docs.x.ai/docs/guides/reasoning.
        """
        prompt, completion = max(0, usage.prompt_tokens or 0), max(0, usage.completion_tokens or 0)
        if usage.has_no_parts:
            return cls(input=prompt, output=completion)
        into, out = usage.prompt_tokens_details or _NO_DETAILS, usage.completion_tokens_details or _NO_DETAILS
        reasoning = max(0, out.reasoning_tokens or 0)
        beside = usage.total_tokens == prompt + completion + reasoning
        # Parts may overlap (audio from the cache counts as both) and still add up to no more than the whole.
        cached = _part(into.cached_tokens or usage.prompt_cache_hit_tokens, prompt)
        audio_in = _part(into.audio_tokens, prompt - cached)
        inside = 0 if beside else _part(reasoning, completion)
        audio_out = _part(out.audio_tokens, completion - inside)
        return cls(
            input=prompt - cached - audio_in,
            cache_read=cached,
            audio_input=audio_in,
            output=completion - inside - audio_out,
            reasoning=reasoning if beside else inside,
            audio_output=audio_out,
        )


def _part(count: int | None, whole: int) -> int:
    return min(max(0, count or 0), whole)


class OpenAIDetails(msgspec.Struct):
    cached_tokens: int | None = None
    audio_tokens: int | None = None
    reasoning_tokens: int | None = None


class OpenAIUsage(msgspec.Struct):
    """`usage` on the wire. Providers leave out, or set to null, what they do not count; unknown keys are ignored."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None
    prompt_tokens_details: OpenAIDetails | None = None
    completion_tokens_details: OpenAIDetails | None = None

    @property
    def has_no_parts(self) -> bool:
        return not (self.prompt_tokens_details or self.completion_tokens_details or self.prompt_cache_hit_tokens)


_NO_DETAILS = OpenAIDetails()
