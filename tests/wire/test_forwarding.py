"""Which headers pass through, either way."""

import pytest

from gateway.wire.forwarding import ForProviders, for_callers, of_connection


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("", set()),
        ("keep-alive", {"keep-alive"}),
        ("close, X-Secret ,\tx-other", {"close", "x-secret", "x-other"}),
    ],
)
def test_headers_of_the_connection_are_named_in_it(value, names):
    assert of_connection(value) == names


def test_an_answers_headers_of_the_connection_stay_back():
    said = {"Connection": "X-Hop, close", "X-Hop": "1", "X-Kept": "2", "Set-Cookie": "c"}

    assert for_callers(said) == {"x-kept": "2"}


@pytest.mark.parametrize(
    "name", ["authorization", "api-key", "x-api-key", "xi-api-key", "x-goog-api-key", "x-tfy-api-key", "xi_api_key"]
)
def test_what_may_hold_the_gateways_token_stays_back(name):
    """Each header in which the gateway takes a token: the provider must not see it."""
    assert name not in ForProviders()
