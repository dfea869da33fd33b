"""The list of public prices: who is found in it, and that it stays as it was released."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from genai_prices.data import providers

from gateway.config.compile.prices import Unpriced, price_of
from gateway.contract.usage import Usage
from gateway.manifests.costs import PublicCost
from gateway.providers.catalog import VENDORS
from gateway.rules.prices.public import PROVIDERS, price_from

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
KNOWN = {provider.id: provider for provider in providers}

NOT_LISTED = {
    "provider-account/ai21",
    "provider-account/deepinfra",
    "provider-account/ollama",
    "provider-account/sambanova",
    "provider-account/self-hosted-model",
    "provider-account/snowflake-cortex",
    "provider-account/wafer",
}


def public(account, model, discount_percent=None):
    return price_of(PublicCost(), f"provider-account/{account}", model, discount_percent)


def test_maps_accounts_to_providers_the_list_knows():
    assert set(PROVIDERS.values()) <= set(KNOWN)


def test_every_vendor_is_mapped_or_known_to_be_missing():
    """Who adds a vendor decides where its prices come from."""
    assert set(VENDORS) - set(PROVIDERS) == NOT_LISTED


@pytest.mark.parametrize(
    ("account", "model", "row"),
    [
        ("openai", "gpt-4o", "openai/gpt-4o"),
        ("openai", "gpt-4o-2024-08-06", "openai/gpt-4o"),
        ("openai", "GPT-4o", "openai/gpt-4o"),
        ("azure-openai", "gpt-4o", "openai/gpt-4o"),
        ("google-vertex", "anthropic/claude-sonnet-4-5@20250929", "google/claude-sonnet-4-5"),
        ("google-gemini", "models/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("xai", "grok-4.6", "x-ai/grok-4.6"),
        ("mistral-ai", "mistral-medium-latest", "mistral/mistral-medium-latest"),
        ("openrouter", "anthropic/claude-sonnet-4.5", "openrouter/anthropic/claude-sonnet-4.5"),
        ("groq", "openai/gpt-oss-120b", "groq/openai/gpt-oss-120b"),
    ],
)
def test_finds_the_row_of_a_model(account, model, row):
    bill = public(account, model).bill(Usage(input=1), NOON)

    assert (bill.row, bill.version, bill.unpriced) == (row, "genai-prices 0.2.3", ())


@pytest.mark.parametrize(
    ("account", "model"),
    [("openai", "my-finetune"), ("ollama", "llama3"), ("self-hosted-model", "gpt-4o"), ("no-such-vendor", "gpt-4o")],
)
def test_what_the_list_does_not_know_has_no_price(account, model):
    """Unknown is not free: other gateways took 0 for it, and budgets never filled."""
    with pytest.raises(Unpriced, match=f"no public price is known for '{model}' of provider-account/{account}"):
        public(account, model)


def test_takes_the_discount_of_the_account_off():
    bill = public("openai", "gpt-4o", 10.0).bill(Usage(input=1000), NOON)

    assert (bill.cost, bill.discount_percent) == (2_250_000, 10.0)  # $2.50 for a million


def test_prices_change_with_the_date():
    price = public("mistral-ai", "mistral-medium-latest")

    before = price.bill(Usage(input=10), datetime(2026, 6, 15, 23, 59, 59, tzinfo=UTC))
    after = price.bill(Usage(input=10), datetime(2026, 6, 16, tzinfo=UTC))

    assert [(bill.cost, bill.tariff) for bill in (before, after)] == [(4000, ""), (15_000, "since 2026-06-16")]


def test_prices_change_with_the_time_of_day():
    """DeepSeek is cheaper while Europe and America sleep."""
    deepseek = KNOWN["deepseek"]
    price = price_from("deepseek", deepseek.find_model("deepseek-chat"))

    def cost(hour, minute):
        return price.bill(Usage(input=1000), datetime(2026, 11, 20, hour, minute, tzinfo=UTC)).cost

    assert (cost(0, 29), cost(0, 30), cost(16, 29), cost(16, 30)) == (135_000, 270_000, 270_000, 135_000)


def test_batches_and_service_tiers_are_variants():
    """The list gives their prices one by one: not all are half."""
    price = public("openai", "gpt-5.4")

    variants = {
        name: variant.bill(Usage(input=1000, cache_read=1000), NOON).cost for name, variant in price.variants.items()
    }

    assert price.bill(Usage(input=1000, cache_read=1000), NOON).cost == 2_750_000
    assert variants == {
        "processing=batch": 1_380_000,
        "service_tier=fast": 5_500_000,
        "service_tier=flex": 1_380_000,
        "service_tier=priority": 5_500_000,
    }


def test_a_reseller_has_its_makers_price_but_not_its_makers_offers():
    assert public("azure-openai", "gpt-5.4").variants == {}


def test_a_free_model_costs_nothing_and_says_so():
    bill = public("openrouter", "openai/gpt-oss-20b:free").bill(Usage(input=5, output=5), NOON)

    assert [(line.name, line.cost) for line in bill.lines] == [("input", 0), ("output", 0)]


ALONE = """
import sys, threading
def refuse(event, args):
    if event.startswith("socket.") and event != "socket.gethostname":
        raise AssertionError(f"{event} {args}")
sys.addaudithook(refuse)

from gateway.manifests.costs import PublicCost
from gateway.config.compile.prices import price_of
assert "genai_prices" not in sys.modules, "imported before it is needed"

from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
set_custom_snapshot(DataSnapshot(providers=[], from_auto_update=True))
print(price_of(PublicCost(), "provider-account/openai", "gpt-4o", None).version)
assert threading.active_count() == 1, threading.enumerate()
"""


def test_never_asks_the_network_and_keeps_to_the_released_list():
    """Prices that change by themselves make bills nobody can repeat; the app around us may update the library's own."""
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("genai-prices 0.2.3\n", "")
