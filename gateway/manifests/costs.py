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


Trait = Annotated[str, Meta(min_length=1, max_length=32, pattern="^[a-z0-9_.:-]+$")]


class ImageVariant(msgspec.Struct, frozen=True, kw_only=True):
    """Pictures for which all of this is so cost something else.

    Args:
        cost: of each.
        size: as in `1024x1536`.
        quality: as in `high` or `hd`, in lower case.
        above_pixels: width times height is more than this.
    """

    cost: Dollars
    size: Trait | None = None
    quality: Trait | None = None
    above_pixels: Annotated[int, Meta(ge=0)] | None = None


class ImagePrices(msgspec.Struct, frozen=True, kw_only=True):
    """For each picture that is made. Size and quality are those that the answer tells, else those that were asked for.

    Args:
        image: of any other size and quality, and where nobody says which.
        variants: the first that fits counts.
    """

    image: Dollars
    variants: tuple[ImageVariant, ...] = ()


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


class ImageCost(msgspec.Struct, frozen=True, kw_only=True, tag_field="metric", tag="per_image"):
    """Of models that make pictures. TrueFoundry does not have this."""

    value: ImagePrices


Cost: TypeAlias = PublicCost | TokenCost | EmbeddingCost | CharacterCost | AudioCost | PageCost | SearchCost | ImageCost
