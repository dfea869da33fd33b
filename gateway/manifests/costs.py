"""What a model costs, as manifests say it: US dollars, from 0 to a million."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

Dollars = Annotated[float, Meta(ge=0, le=1_000_000)]


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """From more than `start` tokens on, 1,000 of them cost this much, whatever `cost_per_token` sounds like.

    Args:
        from: tokens of the call, above which this price applies.
        cost_per_token: US dollars for 1,000 of them.
    """

    start: Annotated[int, Meta(ge=0)] = msgspec.field(name="from")
    cost_per_token: Dollars


class TokenPrices(msgspec.Struct, frozen=True, kw_only=True):
    """Per 1,000 tokens. Up to the first tier the plain price applies.

    Args:
        cache_read: read from the provider's cache; as input unless given.
        cache_write: written to it; as input unless given.
        audio_input: heard; as input unless given. TrueFoundry does not have this one and those below.
        image_input: of pictures that it is shown; as input unless given.
        audio_output: spoken; as output unless given.
        image_output: of pictures that it makes, by their size and quality; as output unless given.
        input_tiers: prices of calls with more input; so are all tiers.
        output_tiers: of what comes out.
        cache_read_tiers: of what is read from the cache.
        cache_write_tiers: of what is written to it.
    """

    input: Dollars
    output: Dollars
    cache_read: Dollars | None = None
    cache_write: Dollars | None = None
    audio_input: Dollars | None = None
    image_input: Dollars | None = None
    audio_output: Dollars | None = None
    image_output: Dollars | None = None
    input_tiers: tuple[Tier, ...] | None = None
    output_tiers: tuple[Tier, ...] | None = None
    cache_read_tiers: tuple[Tier, ...] | None = None
    cache_write_tiers: tuple[Tier, ...] | None = None


class InputPrice(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars for so much, as `metric` says."""

    input: Dollars


class PagePrices(msgspec.Struct, frozen=True, kw_only=True):
    """Per 1,000 pages.

    Args:
        pages: of plain pages, in US dollars.
        annotated_pages: of pages that are annotated; as plain ones unless given.
    """

    pages: Dollars
    annotated_pages: Dollars | None = None


class PublicCost(msgspec.Struct, frozen=True, kw_only=True, tag_field="metric", tag="public_cost"):
    """The bundled list of prices knows."""


class TokenCost(msgspec.Struct, frozen=True, kw_only=True, tag_field="metric", tag="per_1000_tokens"):
    value: TokenPrices


class EmbeddingCost(msgspec.Struct, frozen=True, kw_only=True, tag_field="metric", tag="per_1000_embedding_tokens"):
    """
    Args:
        value: US dollars for 1,000 tokens.
    """

    value: Dollars


class CharacterCost(msgspec.Struct, frozen=True, kw_only=True, tag_field="metric", tag="per_million_characters"):
    value: InputPrice


class AudioCost(msgspec.Struct, frozen=True, kw_only=True, tag_field="metric", tag="per_minute_of_audio"):
    value: InputPrice


class PageCost(msgspec.Struct, frozen=True, kw_only=True, tag_field="metric", tag="per_1000_pages"):
    value: PagePrices


class SearchCost(msgspec.Struct, frozen=True, kw_only=True, tag_field="metric", tag="per_1000_searches"):
    """Of a rerank, each begun hundred of documents is one. TrueFoundry does not have this."""

    value: InputPrice


Cost: TypeAlias = PublicCost | TokenCost | EmbeddingCost | CharacterCost | AudioCost | PageCost | SearchCost
