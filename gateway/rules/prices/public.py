"""Public prices, from the data that genai-prices brings along. Importing this takes a quarter of a second.

Of what the list prices, this leaves out what no provider reports to us yet: tokens of video, cached audio and images
apart from other cached tokens, searches in files and social media, and text messages in calls.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from types import MappingProxyType

import genai_prices
from genai_prices.data import providers
from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import ModelInfo, ModelPrice, StartDateConstraint, TieredPrices, TimeOfDateConstraint
from msgspec import structs

from gateway.contract.price import REQUESTS, Price, Tariff
from gateway.rules.prices.listed import Listed, tariffs_of

PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "provider-account/anthropic": "anthropic",
        "provider-account/aws-bedrock": "aws",
        "provider-account/aws-bedrock-mantle": "aws",
        "provider-account/aws-claude-platform": "anthropic",
        "provider-account/azure-foundry": "azure",
        "provider-account/azure-openai": "azure",
        "provider-account/baseten": "baseten",
        "provider-account/cerebras": "cerebras",
        "provider-account/cohere": "cohere",
        "provider-account/databricks": "databricks",
        "provider-account/elevenlabs": "elevenlabs",
        "provider-account/google-gemini": "google",
        "provider-account/google-vertex": "google",
        "provider-account/groq": "groq",
        "provider-account/microsoft-foundry": "azure",
        "provider-account/mistral-ai": "mistral",
        "provider-account/openai": "openai",
        "provider-account/openrouter": "openrouter",
        "provider-account/perplexity-ai": "perplexity",
        "provider-account/together-ai": "together",
        "provider-account/xai": "x-ai",
    }
)
"""Type of an account -> the list's id of the provider. Who is not here has no public prices."""

VERSION = f"genai-prices {genai_prices.__version__}"

_CLASSES = {
    "input_mtok": ("input", 1_000_000),
    "cache_read_mtok": ("cache_read", 1_000_000),
    "cache_write_mtok": ("cache_write", 1_000_000),
    "cache_write_1h_mtok": ("cache_write_1h", 1_000_000),
    "input_audio_mtok": ("audio_input", 1_000_000),
    "input_image_mtok": ("image_input", 1_000_000),
    "output_mtok": ("output", 1_000_000),
    "output_reasoning_mtok": ("reasoning", 1_000_000),
    "output_audio_mtok": ("audio_output", 1_000_000),
    "output_image_mtok": ("image_output", 1_000_000),
    "output_citation_mtok": ("citation", 1_000_000),
    "input_mchars": ("characters", 1_000_000),
    "audio_hours": ("audio_seconds", 3600),
    "input_document_kpages": ("pages", 1000),
    "input_annotated_document_kpages": ("annotated_pages", 1000),
    "web_searches_kcount": ("searches", 1000),
    "requests_kcount": (REQUESTS, 1000),
}
"""The list's name of a price -> class, and how many of it that is for."""

# Groq charges for ten seconds at least. The list knows it, but not as data. Source: ModelInfo.calc_price of the list.
_LEAST_AUDIO_S = {("groq", "whisper-large-v3"): 10, ("groq", "whisper-large-v3-turbo"): 10}

_FREE = {name: Listed(Decimal(0), 1_000_000) for name in ("input", "output")}
_EPOCH = date(1970, 1, 1)


def public_price(account_type: str, model_id: str, discount_percent: float = 0.0) -> Price | None:
    """What the list says a model costs; None when it does not know it."""
    provider_id = PROVIDERS.get(account_type)
    if provider_id is None:
        return None
    try:
        # Google's API lists its models with this in front.
        provider, model = _list().find_provider_model(model_id.removeprefix("models/"), None, provider_id, None)
    except LookupError:
        return None
    # Azure and Google sell models of others, whose rows stand with their maker. What those say of batches and service
    # tiers is the maker's own offer.
    maker = next(maker for maker in providers if any(model is known for known in maker.models))
    price = price_from(maker.id, model, discount_percent)
    return price if maker is provider else structs.replace(price, variants={})


@cache
def _list() -> DataSnapshot:
    # Not the library's own, which an app that the gateway runs in may have replaced by what it got from the network.
    return DataSnapshot(providers=providers, from_auto_update=False)


def price_from(provider_id: str, model: ModelInfo, discount_percent: float = 0.0) -> Price:
    """Compiles one row of the list, with its prices for batches and service tiers as variants."""
    tariffs = _tariffs(provider_id, model, {})
    standard = Price(
        row=f"{provider_id}/{model.id}", version=VERSION, tariffs=tariffs, discount_percent=discount_percent
    )
    variants = {}
    for when in (variant.when for variant in model.price_variants or ()):
        name = ",".join(f"{key}={value}" for key, value in when.items())
        tariffs = _tariffs(provider_id, model, when)
        if tariffs != standard.tariffs:
            variants[name] = structs.replace(standard, tariffs=tariffs, variant=name)
    return structs.replace(standard, variants=variants)


def _tariffs(provider_id: str, model: ModelInfo, when: Mapping[str, str]) -> tuple[Tariff, ...]:
    """Which price holds when is the library's own answer, for each moment at which it may change."""
    tariffs: list[Tariff] = []
    dates, seconds = _changes(model, when)
    for day in dates:
        midnight = datetime.combine(day, time(), UTC)
        for day_s in seconds:
            prices = model.get_prices(midnight + timedelta(seconds=day_s), when)
            listed = _listed(prices, _LEAST_AUDIO_S.get((provider_id, model.id), 0))
            tariffs += tariffs_of(listed or _FREE, starts_s=int(midnight.timestamp()), day_s=day_s)
    return tuple(tariffs)


def _changes(model: ModelInfo, when: Mapping[str, str]) -> tuple[list[date], list[int]]:
    """The dates from which, and the seconds of the day from which another price may hold."""
    constraints = [variant.constraint for variant in model.price_variants or () if variant.when == when]
    if not isinstance(model.prices, ModelPrice):
        constraints += [conditional.constraint for conditional in model.prices]
    dates, seconds = {_EPOCH}, {0}
    for constraint in constraints:
        match constraint:
            case StartDateConstraint():
                dates.add(constraint.start_date)
            case TimeOfDateConstraint():
                seconds |= {_second(constraint.start_time), _second(constraint.end_time)}
    return sorted(dates), sorted(seconds)


def _second(moment: time) -> int:
    """Seconds since midnight, UTC; a time without a zone is UTC."""
    utc = datetime.combine(_EPOCH, moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    return utc.hour * 3600 + utc.minute * 60 + utc.second


def _listed(prices: ModelPrice, least_audio_s: int) -> dict[str, Listed]:
    listed = {}
    for key, (name, per) in _CLASSES.items():
        price = getattr(prices, key)
        least = least_audio_s if name == "audio_seconds" else 0
        if isinstance(price, TieredPrices):
            listed[name] = Listed(price.base, per, tuple((tier.start, tier.price) for tier in price.tiers), least)
        elif price is not None:
            listed[name] = Listed(price, per, (), least)
    return listed
