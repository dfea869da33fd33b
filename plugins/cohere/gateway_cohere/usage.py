"""Usage as Cohere tells it.

Source: docs.cohere.com/reference/chat and /docs/how-does-cohere-pricing-work, types of cohere 7.3; read 2026-11.
"""

import msgspec

from gateway.contract.usage import Usage

_COUNT_MAX = 10**9


class Units(msgspec.Struct):
    """Counts come as 37.0, and as 37."""

    input_tokens: float | None = None
    output_tokens: float | None = None
    text_tokens: float | None = None
    image_tokens: float | None = None


class TokenUsage(msgspec.Struct):
    """`usage` of chat, and `meta` of embeddings.

    Args:
        billed_units: what is paid for.
        tokens: what the model has read and written, with what Cohere itself adds to prompts, which nobody pays for.
        cached_tokens: of all that was read.
    """

    billed_units: Units | None = None
    tokens: Units | None = None
    cached_tokens: float | None = None

    @property
    def usage(self) -> Usage:
        """What is paid for, where it is told."""
        billed, used = self.billed_units or Units(), self.tokens or Units()
        texts = billed.text_tokens if billed.text_tokens is not None else billed.input_tokens
        read = _count(used.input_tokens if texts is None else texts)
        # What Cohere adds stands in front, and so does what comes from the cache.
        added = max(0, _count(used.input_tokens) - read)
        cached = min(read, max(0, _count(self.cached_tokens) - added))
        written = used.output_tokens if billed.output_tokens is None else billed.output_tokens
        return Usage(
            input=read - cached,
            cache_read=cached,
            image_input=_count(billed.image_tokens),
            output=_count(written),
        )


def _count(told: float | None) -> int:
    return int(min(max(0, told or 0), _COUNT_MAX))
