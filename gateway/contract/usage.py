"""What a call used, in classes that never overlap: their sum is the total, so nothing is billed twice."""

from collections.abc import Mapping
from math import ceil, isfinite
from typing import Any, Literal, Self

import msgspec

from gateway.contract.money import nano_dollars

_COUNT_MAX = 10**9
"""No call has that many of anything: who says so is broken, and sums of many calls must fit into 64 bits."""
_STATED_MAX = 1000
"""In dollars. No call costs more: a provider that says so is mistaken, and must not use up anybody's budget."""


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Tokens by class, then what is not counted in tokens.

    Args:
        cache_write: for the provider's usual time; `cache_write_1h`: for one hour.
        citation: text of the sources that a search has found.
        audio_seconds: heard by the model, rounded as the provider does.
        pages: read as they are; `annotated_pages`: read and annotated.
        searches: made by the model on the web; of a rerank, what it is billed as.
        images: pictures that were made, which models have a price for that count no tokens. Where `image_output` has
            one, it is of the same pictures, and these are told besides.
        estimated: the provider gave no numbers, and these were counted from what passed by.
        stated_cost: what the provider says that the call costs, in nano-dollars. See `Target.states_cost`.
        untold: the half that the provider left out; it is estimated before anything is billed.
        image_size, image_quality: of all `images`, as in `1024x1536` and `high`; None: nobody says.
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    audio_input: int = 0
    image_input: int = 0
    output: int = 0
    reasoning: int = 0
    audio_output: int = 0
    image_output: int = 0
    citation: int = 0
    characters: int = 0
    audio_seconds: int = 0
    pages: int = 0
    annotated_pages: int = 0
    searches: int = 0
    images: int = 0
    estimated: bool = False
    stated_cost: int | None = None
    untold: Literal["input", "output"] | None = None
    image_size: str | None = None
    image_quality: str | None = None

    @property
    def input_tokens(self) -> int:
        cached = self.cache_read + self.cache_write + self.cache_write_1h
        return self.input + cached + self.audio_input + self.image_input

    @property
    def output_tokens(self) -> int:
        return self.output + self.reasoning + self.audio_output + self.image_output + self.citation

    def over(self, earlier: "Usage | None") -> "Usage":
        """This, which was told later, with what was told `earlier` where this has none: 0 replaces no count."""
        if earlier is None or (self.input_tokens and self.output_tokens):
            return self
        kept = [*(_INPUT if not self.input_tokens else ()), *(_OUTPUT if not self.output_tokens else ())]
        if self.stated_cost is None:
            kept.append("stated_cost")
        told = {name: getattr(earlier, name) for name in kept}
        return msgspec.structs.replace(self, **told, untold=self.untold if self.untold == earlier.untold else None)

    def completed(self, estimate: "Usage") -> "Usage":
        """With the half that was left out as it is in an estimate, and marked so; as it is, if that has none of it."""
        names = _INPUT if self.untold == "input" else _OUTPUT if self.untold == "output" else ()
        half = {name: count for name in names if (count := getattr(estimate, name))}
        return msgspec.structs.replace(self, untold=None, estimated=self.estimated or bool(half), **half)

    def beside(self, expected: "Usage") -> "Usage":
        """This, with what was expected of all that it does not count; so it is an estimate."""
        more = {name: amount for name in AMOUNTS if (amount := getattr(expected, name)) and not getattr(self, name)}
        return msgspec.structs.replace(self.as_asked(expected), **more, estimated=True)

    def as_asked(self, expected: "Usage") -> "Usage":
        """This, with pictures of the size and quality that were asked for where nobody tells of others."""
        return msgspec.structs.replace(
            self,
            image_size=self.image_size or expected.image_size,
            image_quality=self.image_quality or expected.image_quality,
        )

    @classmethod
    def from_openai(cls, said: object) -> Self | None:
        """From the `usage` object of OpenAI's APIs, in all vendors' variants.

        None: it counts nothing that is known here, so it is as if there were none.

        The parts are included in the whole: what is cached, audio or image in `prompt_tokens`, what is reasoning, audio
        or image in `completion_tokens`. A part that is larger than its whole is cut: the whole is believed. Where
        `total_tokens` is more than both wholes, something stands beside them:

        - audio, if the vendor bills it in seconds (Mistral): then its tokens are left out;
        - what was cached, if it is exactly that much: some translate Anthropic's counts so;
        - else reasoning, whether the vendor names it (xAI) or not (Gemini).

        Of a whole that is missing, `total_tokens` tells how much it is; without that it is `untold`, as is an input of
        nothing.

        Perplexity counts reasoning and citations beside `total_tokens` as well. It and OpenRouter say what the call
        costs.

        Source: platform.openai.com/docs/api-reference/chat/object; docs.x.ai/docs/guides/reasoning;
        openrouter.ai/docs/use-cases/usage-accounting; extractors of genai-prices 0.2.3; replies of Mistral, Perplexity
        and Gemini quoted in public issues; read 2026-11.
        """
        usage = OpenAIUsage.of(said)
        if usage is None:
            seconds = _seconds(said.get("seconds")) if isinstance(said, dict) else 0  # of transcriptions
            return cls(audio_seconds=seconds) if seconds else None
        stated_cost = _stated_cost(said) if isinstance(said, dict) and "cost" in said else None
        prompt, completion = _count(usage.prompt_tokens), _count(usage.completion_tokens)
        untold: Literal["input", "output"] | None = None
        if usage.completion_tokens is None:
            completion = max(0, _count(usage.total_tokens) - prompt)
            untold = "output" if usage.total_tokens is None else None
        elif usage.prompt_tokens is None:
            prompt = max(0, _count(usage.total_tokens) - completion)
            untold = None if prompt else "input"
        beside = max(0, _count(usage.total_tokens) - prompt - completion)
        if not beside and usage.has_no_parts:
            return cls(input=prompt, output=completion, stated_cost=stated_cost, untold=untold)
        into, out = usage.prompt_tokens_details or _NO_DETAILS, usage.completion_tokens_details or _NO_DETAILS
        reasoning = _count(out.reasoning_tokens or usage.reasoning_tokens)
        cached, written = usage.cached, usage.written
        if usage.citation_tokens is not None:
            beside = reasoning
        elif usage.prompt_audio_seconds:
            beside = 0
        elif beside == cached + written != reasoning:
            prompt, beside = prompt + beside, 0
        cached = min(cached, prompt)
        written = min(written, prompt - cached)
        # Parts may overlap (audio from the cache counts as both) and still add up to no more than the whole.
        rest_in = prompt - cached - written
        audio_in = 0 if usage.prompt_audio_seconds else min(into.without_cached("audio_tokens"), rest_in)
        image_in = min(into.without_cached("image_tokens"), rest_in - audio_in)
        inside = 0 if beside else min(reasoning, completion)
        audio_out = min(_count(out.audio_tokens), completion - inside)
        image_out = min(_count(out.image_tokens), completion - inside - audio_out)
        return cls(
            input=rest_in - audio_in - image_in,
            cache_read=cached,
            cache_write=written,
            audio_input=audio_in,
            image_input=image_in,
            output=completion - inside - audio_out - image_out,
            reasoning=inside or beside,
            audio_output=audio_out,
            image_output=image_out,
            citation=_count(usage.citation_tokens),
            audio_seconds=_count(usage.prompt_audio_seconds),
            searches=_count(usage.num_search_queries),
            stated_cost=stated_cost,
            untold=untold,
        )


_DESCRIBE = ("estimated", "stated_cost", "untold", "image_size", "image_quality")
AMOUNTS = tuple(name for name in Usage.__struct_fields__ if name not in _DESCRIBE)
"""What is counted."""


def _stated_cost(said: Mapping[str, Any]) -> int | None:
    """In nano-dollars; None: nothing that can be believed.

    OpenRouter's `cost` is what it takes itself. To that comes what a vendor takes whose key the account has brought.
    Perplexity gives the parts, and their sum.

    Source: openrouter.ai/docs/use-cases/usage-accounting; replies of Perplexity quoted in public issues; read 2026-11.
    """
    cost = said["cost"]
    if isinstance(cost, Mapping):
        return _nano_dollars(cost.get("total_cost"))
    own = _nano_dollars(cost)
    if said.get("is_byok") is not True or own is None:
        return own
    details = said.get("cost_details")
    vendors = _nano_dollars(details.get("upstream_inference_cost")) if isinstance(details, Mapping) else None
    return own + vendors if vendors is not None else None


def _nano_dollars(dollars: object) -> int | None:
    if type(dollars) is not int and type(dollars) is not float:
        return None
    return nano_dollars(dollars) if 0 <= dollars <= _STATED_MAX else None


def count_of(said: object) -> int:
    """Of one field of a provider's, whatever stands there: 0 for nothing that is a count."""
    return _count(whole_of(said))


def _count(reported: int | None) -> int:
    if not reported or reported < 0:
        return 0
    return reported if reported < _COUNT_MAX else _COUNT_MAX  # noqa: FURB136  min and max take three times as long


def _seconds(value: Any) -> int:
    """Begun ones count. 0: it is no number of them."""
    is_number = isinstance(value, int | float) and isfinite(value)
    return _count(ceil(value)) if is_number else 0


def whole_of(value: object) -> int | None:
    """Numbers as servers write them: `100`, `100.0`, `"100"`, `"100.0"`. None: it is none."""
    if type(value) is int:
        return value if value >= 0 else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) < 20:
        digits = value.strip().removesuffix(".0")
        return int(digits) if digits.isascii() and digits.isdecimal() else None
    return None


class OpenAIDetails(msgspec.Struct):
    """Cache writes: OpenAI and OpenRouter; LiteLLM; Alibaba."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens_details: Any = None
    """Of the realtime API, whose counts of sound and pictures include those that were cached."""

    def without_cached(self, name: str) -> int:
        """Of tokens of some kind, those that did not come from the cache, as far as that is told."""
        cached, count = self.cached_tokens_details, _count(getattr(self, name))
        return max(0, count - (whole_of(cached.get(name)) or 0)) if isinstance(cached, Mapping) else count

    @classmethod
    def of(cls, said: object) -> Self | None:
        if not isinstance(said, Mapping):
            return None
        counts = {name: whole_of(value) for name, value in said.items() if name in _PARTS}
        return cls(**counts | {_CACHED: said.get(_CACHED)})


class OpenAIUsage(msgspec.Struct):
    """`usage` on the wire. Providers leave out, or set to null, what they do not count; unknown keys are ignored."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek."""
    prompt_tokens_details: OpenAIDetails | None = None
    completion_tokens_details: OpenAIDetails | None = None
    cached_tokens: int | None = None
    """Together, Moonshot."""
    cache_read_input_tokens: int | None = None
    """Databricks, LiteLLM; so is the next."""
    cache_creation_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    """Databricks, SGLang, Perplexity."""
    citation_tokens: int | None = None
    """Perplexity; so is the next."""
    num_search_queries: int | None = None
    prompt_audio_seconds: int | None = None
    """Mistral."""

    @classmethod
    def of(cls, said: object) -> Self | None:
        """Each field by itself, so that a broken one costs only itself; None when no field says how many tokens."""
        if not isinstance(said, dict):
            return None
        try:
            usage = msgspec.convert(said, cls)
            if (usage.prompt_tokens or 0) < 0 or (usage.completion_tokens or 0) < 0:
                usage = cls._by_field(said)
        except msgspec.ValidationError:
            usage = cls._by_field(said)
        if not usage.prompt_tokens and not usage.completion_tokens:
            other = cls._by_field({name: said[other] for other, name in _OTHER_NAMES if other in said})
            if other.prompt_tokens is not None or other.completion_tokens is not None:
                usage = other
        if usage.prompt_tokens is None and usage.completion_tokens is None:
            total = whole_of(said.get("total_tokens"))  # Voyage and others, of embeddings
            return cls(prompt_tokens=total, completion_tokens=0) if total is not None else None
        return usage

    @classmethod
    def _by_field(cls, said: Mapping[str, Any]) -> Self:
        counts: dict[str, Any] = {name: whole_of(value) for name, value in said.items() if name in _COUNTS}
        if isinstance(seconds := said.get("prompt_audio_seconds"), float):
            counts["prompt_audio_seconds"] = _seconds(seconds)
        details: dict[str, Any] = {name: OpenAIDetails.of(said.get(name)) for name in _DETAILS}
        return cls(**counts, **details)

    @property
    def has_no_parts(self) -> bool:
        return not (
            self.prompt_tokens_details
            or self.completion_tokens_details
            or self.prompt_cache_hit_tokens
            or self.cached_tokens
            or self.cache_read_input_tokens
            or self.cache_creation_input_tokens
            or self.reasoning_tokens
            or self.citation_tokens
            or self.num_search_queries
            or self.prompt_audio_seconds
        )

    @property
    def cached(self) -> int:
        """Tokens read from the provider's cache."""
        details = self.prompt_tokens_details or _NO_DETAILS
        return _count(
            details.cached_tokens or self.prompt_cache_hit_tokens or self.cached_tokens or self.cache_read_input_tokens
        )

    @property
    def written(self) -> int:
        """Tokens written to it."""
        details = self.prompt_tokens_details or _NO_DETAILS
        return _count(
            details.cache_write_tokens
            or details.cache_creation_tokens
            or details.cache_creation_input_tokens
            or self.cache_creation_input_tokens
        )


_INPUT = ("input", "cache_read", "cache_write", "cache_write_1h", "audio_input", "image_input")
_OUTPUT = ("output", "reasoning", "audio_output", "image_output", "citation")

_NO_DETAILS = OpenAIDetails()
_CACHED = "cached_tokens_details"
_PARTS = frozenset(OpenAIDetails.__struct_fields__)
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")
_COUNTS = frozenset(OpenAIUsage.__struct_fields__) - frozenset(_DETAILS)
_OTHER_NAMES = (
    ("input_tokens", "prompt_tokens"),
    ("output_tokens", "completion_tokens"),
    ("input_token_details", "prompt_tokens_details"),
    ("input_tokens_details", "prompt_tokens_details"),
    ("output_token_details", "completion_tokens_details"),
    ("output_tokens_details", "completion_tokens_details"),
)
"""As OpenAI's newer APIs call them, transcriptions and realtime without the s, and servers that mix the two."""
