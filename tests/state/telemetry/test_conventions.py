"""Our names are those that OpenTelemetry has."""

from importlib import import_module

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics

from gateway.dialects import ALL, NATIVE
from gateway.plugins import providers_by_type
from gateway.state.telemetry import conventions as names

MODULES = ("http", "url", "user_agent", "client", "error", "gen_ai", "service")


def known(module):
    """All attributes of that family."""
    found = import_module(f"opentelemetry.semconv._incubating.attributes.{module}_attributes")
    return {value for name, value in vars(found).items() if name.isupper() and isinstance(value, str)}


@pytest.mark.parametrize("name", names.STANDARD)
def test_attributes_are_known(name):
    assert name in set().union(*map(known, MODULES))


@pytest.mark.parametrize("name", names.METRICS)
def test_metrics_are_known(name):
    assert name in {value for key, value in vars(gen_ai_metrics).items() if key.isupper()}


def test_operations_are_known():
    assert set(names.OPERATIONS.values()) <= {each.value for each in gen_ai_attributes.GenAiOperationNameValues}


def test_providers_are_known():
    assert set(names.PROVIDERS.values()) <= {each.value for each in gen_ai_attributes.GenAiProviderNameValues}


def test_what_is_translated_is_there():
    """A type that was misspelled would be called by its own name for ever."""
    types = {type_.removeprefix("provider-account/") for type_ in providers_by_type()}
    apis = {dialect.name for dialect in (*ALL, *NATIVE)} | {"responses"}

    assert {type_ for type_ in names.PROVIDERS if type_ not in types} <= {"deepseek"}
    assert set(names.OPERATIONS) - apis == set()


def test_bounds_are_those_of_the_conventions():
    """Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/."""
    assert tuple(round(0.01 * 2**power, 2) for power in range(14)) == names.SECONDS_BOUNDS
    assert tuple(4**power for power in range(14)) == names.TOKENS_BOUNDS
