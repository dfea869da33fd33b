"""What plugins import: the endpoint and the values that cross."""

import pickle
from datetime import UTC, datetime

import msgspec
import pytest

from gateway.contract import Caller, Choice, Endpoint, Outcome, Record, Target, Tls
from gateway.contract.price import Price, Rate, Tariff
from gateway.contract.route import Candidate, Route, RouteTarget
from gateway.contract.usage import Usage
from gateway.providers.demo import Demo

PRICE = Price(row="a/m", version="private", tariffs=(Tariff(rates={"input": Rate(1_000, 1)}),))


@pytest.mark.parametrize(
    ("url", "origin", "first_lines"),
    [
        (
            "https://api.vendor.example/v1/chat/completions",
            ("api.vendor.example", 443, Tls()),
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: api.vendor.example\r\n",
        ),
        (
            "http://10.0.0.7:8000/v1/embeddings?api-version=2",
            ("10.0.0.7", 8000, None),
            b"POST /v1/embeddings?api-version=2 HTTP/1.1\r\nhost: 10.0.0.7:8000\r\n",
        ),
        ("http://[::1]:8000", ("::1", 8000, None), b"POST / HTTP/1.1\r\nhost: [::1]:8000\r\n"),
    ],
)
def test_an_endpoint_is_ready_to_be_called(url, origin, first_lines):
    endpoint = Endpoint(url)

    assert endpoint.origin == origin
    assert endpoint.head == first_lines + b"accept-encoding: identity\r\n"


def test_headers_are_lower_case_and_may_replace_the_defaults():
    endpoint = Endpoint("http://h/", {"Authorization": "Bearer k", "Accept-Encoding": "gzip"}, method="GET")

    assert endpoint.head == b"GET / HTTP/1.1\r\nhost: h\r\naccept-encoding: gzip\r\nauthorization: Bearer k\r\n"


@pytest.mark.parametrize(
    ("url", "headers", "complaint"),
    [
        ("ftp://host/", {}, "must be an http or https URL"),
        ("https://user:pw@host/v1", {}, "must not hold credentials"),
        ("https://host/v1", {"x-key": "a\r\nx-other: b"}, "headers for host: the value holds a line break"),
        ("https://host/v1", {"x-key\r\nx-other": "b"}, "is no name of a header"),
        ("https://host/v1", {"Transfer-Encoding": "chunked"}, "Transfer-Encoding cannot be set"),
        ("https://host/v1", {"host": "other"}, "host cannot be set"),
    ],
)
def test_refuses_what_could_not_be_sent_safely(url, headers, complaint):
    """A line break in a key would let it write headers of its own."""
    with pytest.raises(ValueError, match=complaint):
        Endpoint(url, headers)


def test_an_endpoint_does_not_show_its_key():
    assert repr(Endpoint("https://host/v1", {"authorization": "Bearer canary"})) == "Endpoint('https://host/v1')"


def test_endpoints_that_check_certificates_differently_share_no_connection():
    assert Endpoint("https://h/").origin != Endpoint("https://h/", tls=Tls(verify=False)).origin


def test_a_record_leaves_out_what_did_not_happen():
    """One line a request: null for each step that was not taken would double it."""
    record = Record(
        timestamp=datetime(2026, 11, 1, 12, tzinfo=UTC),
        level="info",
        request_id="r",
        method="POST",
        path="/v1",
        status=200,
        outcome=Outcome.COMPLETE,
        duration_ms=2.0,
        usage=Usage(input=1),
    )

    assert msgspec.json.decode(msgspec.json.encode(record)) == {
        "event": "request",
        "timestamp": "2026-11-01T12:00:00Z",
        "level": "info",
        "request_id": "r",
        "method": "POST",
        "path": "/v1",
        "status": 200,
        "outcome": "complete",
        "duration_ms": 2.0,
        "usage": {"input": 1},
    }


def test_a_caller_is_a_value():
    """It is compared, hashed and carried between processes."""
    caller = Caller("user:ana", frozenset({"team:a"}))

    assert pickle.loads(pickle.dumps(caller)) == caller
    assert hash(caller) == hash(Caller("user:ana", frozenset({"team:a"})))


def test_an_endpoint_has_others_beside_it():
    """Of the same host, and with the same credentials."""
    other = Endpoint("https://h:8000?a=1", {"x-key": "k"}).at("/v1/models?page=2", method="GET")

    assert (other.url, other.origin) == ("https://h:8000/v1/models?page=2", ("h", 8000, Tls()))
    assert other.head == b"GET /v1/models?page=2 HTTP/1.1\r\nhost: h:8000\r\naccept-encoding: identity\r\nx-key: k\r\n"
    assert other.at("/").head.startswith(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("target", "method"),
    [
        ("/a b", "GET"), ("/a\r\nx-evil: 1", "GET"), ("/\u00fc", "GET"), ("//other/x", "G T"), ("a", "GET"),
        ("/v1/../x", "GET"), ("/v1/%2e%2E/x", "GET"), ("/v1/..%2Fx", "GET"), ("/v1/.", "GET"), ("/..\\x", "GET"),
        ("/v1/..;/x", "GET"), ("/v1/..%3Ba=b/x", "GET"), ("/v1/%252e%252e/x", "GET"),
        ("/", "GET /x HTTP/1.1\r\n"), ("/", ""),
    ],
)  # fmt: skip
def test_an_endpoint_leads_nowhere_else(target, method):
    """What stands in it may come from a caller, and the credentials are the operator's."""
    with pytest.raises(ValueError, match=r"^the (path|method) "):
        Endpoint("https://h/", {"x-key": "k"}).at(target, method=method)


@pytest.mark.parametrize(
    ("url", "said", "hidden"),
    [
        ("http://h/v1?key=secret-of-the-url", b"bad key secret-of-the-url", b"bad key ***"),
        ("http://h/v1?api_key=a%2Fb%2Fc%2Fd%2Fe&x=1", b"a/b/c/d/e or a%2Fb%2Fc%2Fd%2Fe", b"*** or ***"),
        ("http://h/v1?api-version=2024-10-21", b"no such version 2024-10-21", b"no such version 2024-10-21"),
        ("http://h/v1?key=short", b"short", b"short"),
    ],
)
def test_keys_in_an_address_are_hidden(url, said, hidden):
    """Some servers repeat in an error what they were asked."""
    assert Endpoint(url).hidden(said) == hidden


def test_all_targets_of_a_route_may_be_asked():
    """What a virtual model is called is none of them."""
    first, second = (
        Target(name=name, model=name, model_types=frozenset({"chat"}), provider=Demo()) for name in ("a/m", "a/n")
    )
    candidates = tuple(
        Candidate(name=each.name, account=each.account, route_target=RouteTarget(each)) for each in (first, second)
    )

    assert Choice(first).targets == (first,)
    assert [*Choice(first, Route("v/all", "weight", candidates)).targets] == [first, second]


@pytest.mark.parametrize(
    ("states_cost", "price", "nano"),
    [(True, PRICE, 5), (False, PRICE, 3_000), (False, None, None)],
)
def test_what_a_call_costs_is_said_by_its_provider_or_its_price(states_cost, price, nano):
    """A provider is believed only where the account says so."""
    target = Target(
        name="a/m",
        model="m",
        model_types=frozenset({"chat"}),
        provider=Demo(),
        price=price,
        states_cost=states_cost,
    )

    assert target.cost(Usage(input=3, stated_cost=5), 0.0) == nano
