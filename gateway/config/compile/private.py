"""Prices that manifests give."""

from collections.abc import Sequence
from decimal import Decimal

from gateway.contract.price import PictureKind, Rate, Tariff
from gateway.manifests.costs import (
    AudioCost,
    CharacterCost,
    EmbeddingCost,
    ImageCost,
    ImagePrices,
    PageCost,
    SearchCost,
    Tier,
    TokenCost,
)
from gateway.rules.prices.listed import Listed, tariffs_of

_ListedCost = TokenCost | EmbeddingCost | CharacterCost | AudioCost | PageCost | SearchCost
PrivateCost = _ListedCost | ImageCost

_OF_SOUND_AND_PICTURES = ("audio_input", "image_input", "audio_output", "image_output")


def private_tariffs(cost: PrivateCost) -> tuple[Tariff, ...]:
    """The tariffs of a private cost.

    The tiers of all classes go by the input tokens of the call, and the one that is reached counts for all of its
    tokens: a tier of `output_tiers` that counted output would never be reached by the models that have tiers.
    Audio is charged by the second, not by minutes that have begun.

    Source: truefoundry.com/docs/ai-gateway/cost-tracking; openrouter.ai/openai/whisper-1; read 2026-11.
    """
    return _of_pictures(cost.value) if isinstance(cost, ImageCost) else tariffs_of(_listed(cost))


def _of_pictures(prices: ImagePrices) -> tuple[Tariff, ...]:
    """Of tariffs the last that fits counts, of variants the first."""
    variants = [
        Tariff(rates=_each(one.cost), pictures=PictureKind(one.size, one.quality, one.above_pixels))
        for one in reversed(prices.variants)
    ]
    return Tariff(rates=_each(prices.image)), *variants


def _each(dollars: float) -> dict[str, Rate]:
    return {"images": Rate.of(Decimal(str(dollars)), 1)}


def _listed(cost: _ListedCost) -> dict[str, Listed]:
    match cost:
        case TokenCost(value=value):
            prices = {
                "input": _tokens(value.input, value.input_tiers),
                "cache_read": _tokens(value.cache_read, value.cache_read_tiers),
                "cache_write": _tokens(value.cache_write, value.cache_write_tiers),
                "output": _tokens(value.output, value.output_tiers),
            }
            others = {name: getattr(value, name) for name in _OF_SOUND_AND_PICTURES}
            prices |= {name: _tokens(dollars) for name, dollars in others.items() if dollars is not None}
        case EmbeddingCost(value=value):
            prices = {"input": _tokens(value)}
        case CharacterCost(value=value):
            prices = {"characters": Listed(_dollars(value.input), 1_000_000)}
        case AudioCost(value=value):
            prices = {"audio_seconds": Listed(_dollars(value.input), 60)}
        case SearchCost(value=value):
            prices = {"searches": Listed(_dollars(value.input), 1000)}
        case PageCost(value=value):
            prices = {
                "pages": Listed(_dollars(value.pages), 1000),
                "annotated_pages": Listed(_dollars(value.annotated_pages), 1000),
            }
    return prices


def _tokens(dollars: float | None, tiers: Sequence[Tier] | None = None) -> Listed:
    tiered = tuple((tier.start, Decimal(str(tier.cost_per_token))) for tier in tiers or ())
    return Listed(_dollars(dollars), 1000, tiered)


def _dollars(value: float | None) -> Decimal | None:
    return Decimal(str(value)) if value is not None else None  # as it was written: 0.1 is a tenth
