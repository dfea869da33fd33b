"""What callers say in headers."""

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.proxy.options import NO_OPTIONS, RequestOptions, metadata_of, options_of
from gateway.testing import FakeUpstream, post


@pytest.mark.parametrize(
    ("name", "value", "options"),
    [
        ("x-tfy-retry-config", '{"attempts": 3, "onStatusCodes": [429, 500, 503]}', (3, {429, 500, 503})),
        ("x-tfy-retry-config", '{"attempts": 1}', (1, None)),
        ("x-tfy-retry-config", '{"attempts": 10, "delay": 100}', (10, None)),
        ("x-tfy-retry-config", '{"onStatusCodes": []}', (None, set())),
        ("x-tfy-retry-config", "{}", (None, None)),
        ("x-tfy-retry-config", "", (None, None)),
    ],
)
def test_retries(name, value, options):
    attempts, statuses = options

    assert options_of({name.encode(): value.encode()}) == RequestOptions(
        attempts=attempts, statuses=None if statuses is None else frozenset(statuses)
    )


@pytest.mark.parametrize(
    ("name", "value", "options"),
    [
        ("x-tfy-request-timeout", "1500", RequestOptions(attempt_s=1.5)),
        ("x-tfy-ttft-timeout-ms", "250", RequestOptions(first_token_s=0.25)),
        ("x-tfy-ttft-timeout-ms", "999999999", RequestOptions(first_token_s=999999.999)),
        ("x-stainless-read-timeout", "600", RequestOptions(deadline_s=600.0)),
        ("x-stainless-read-timeout", "0.5", RequestOptions(deadline_s=0.5)),
    ],
)
def test_limits(name, value, options):
    assert options_of({name.encode(): value.encode()}) == options


@pytest.mark.parametrize("value", ["", "0", "-1", "inf", "nan", "none", "1e999"])
def test_what_an_sdk_sends_is_not_for_us_to_judge(value):
    """Its header has no contract; a value that means no limit is none."""
    assert options_of({b"x-stainless-read-timeout": value.encode()}) == NO_OPTIONS


def test_together():
    headers = {
        b"x-tfy-retry-config": b'{"attempts":2}',
        b"x-tfy-request-timeout": b"20",
        b"x-tfy-ttft-timeout-ms": b"10",
        b"x-stainless-read-timeout": b"60",
    }

    assert options_of(headers) == RequestOptions(attempts=2, attempt_s=0.02, first_token_s=0.01, deadline_s=60.0)


def test_most_requests_say_nothing():
    assert options_of({b"authorization": b"Bearer x"}) == NO_OPTIONS


@pytest.mark.parametrize("attempts", ["0", "-1", "11"])
def test_attempts_have_bounds(attempts):
    with pytest.raises(BadRequest, match="attempts lies between 1 and 10, the first try included"):
        options_of({b"x-tfy-retry-config": b'{"attempts": %b}' % attempts.encode()})


@pytest.mark.parametrize(
    "value",
    [
        "{",
        "3",
        "null",
        "[]",
        '{"attempts": "3"}',
        '{"attempts": true}',
        '{"onStatusCodes": ["429"]}',
        "\xff",
        "[" * 5000,
    ],
)
def test_retries_that_cannot_be_read(value):
    with pytest.raises(BadRequest, match="x-tfy-retry-config cannot be read"):
        options_of({b"x-tfy-retry-config": value.encode("latin-1")})


@pytest.mark.parametrize("name", ["x-tfy-request-timeout", "x-tfy-ttft-timeout-ms"])
@pytest.mark.parametrize("value", ["", "0", "-1", "1.5", "1s", " 5", "1e3", "1000000000", "²"])
def test_limits_that_cannot_be_kept(name, value):
    with pytest.raises(BadRequest, match=f"{name} has to be a number of milliseconds above 0"):
        options_of({name.encode(): value.encode("latin-1")})


# --- metadata --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "metadata"),
    [
        ('{"env": "prod", "team": "search"}', {"env": "prod", "team": "search"}),
        ("{}", {}),
        ("", {}),
        ('{"name": "Zürich"}', {"name": "Zürich"}),
        ('{"long": "%s"}' % (128 * "x"), {"long": 128 * "x"}),
    ],
)
def test_metadata(value, metadata):
    assert metadata_of({b"x-tfy-metadata": value.encode()}) == metadata


def test_no_metadata():
    assert metadata_of({}) == {}


@pytest.mark.parametrize("value", ["{", "3", "null", '["a"]', '{"a": 1}', '{"a": null}', '{"a": {"b": "c"}}', "\xff"])
def test_metadata_that_is_none(value):
    with pytest.raises(BadRequest, match="x-tfy-metadata cannot be read"):
        metadata_of({b"x-tfy-metadata": value.encode("latin-1")})


def test_metadata_of_too_many_names():
    metadata = {f"name{number}": "a" for number in range(65)}

    with pytest.raises(BadRequest, match="more than 64 names"):
        metadata_of({b"x-tfy-metadata": msgspec.json.encode(metadata)})


def test_retries_on_too_many_statuses():
    """Each candidate of a route would keep them all."""
    with pytest.raises(BadRequest, match="more than 64"):
        options_of({b"x-tfy-retry-config": msgspec.json.encode({"onStatusCodes": [500] * 65})})


@pytest.mark.parametrize("metadata", ['{"%s": "a"}', '{"a": "%s"}'])
def test_metadata_that_is_too_long(metadata):
    with pytest.raises(BadRequest, match="is longer than 128 characters"):
        metadata_of({b"x-tfy-metadata": (metadata % (129 * "x")).encode()})


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"x-tfy-metadata": "{"}, "cannot be read"),
        ({"x-tfy-retry-config": "{"}, "cannot be read"),
        ({"x-tfy-request-timeout": "soon"}, "has to be a number of milliseconds above 0"),
    ],
)
async def test_a_wish_that_cannot_be_understood_is_refused(app_with, auth, headers, told):
    """Before anybody is asked: the caller counts on it."""
    upstream = FakeUpstream((200, [b"{}"]))
    ask = {"model": "mock/m", "messages": []}

    answer = await post(app_with(upstream), "/v1/chat/completions", ask, headers={**auth, **headers})

    assert answer.status == 400
    assert told in answer.json()["error"]["message"]
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("headers", "metadata"),
    [
        ({b"x-tfy-logging-config": b'{"enabled": true, "tracing_project_fqn": "p"}'}, {}),
        ({b"x-tfy-logging-config": b'{"enabled": true, "app": "bot", "n": 1}'}, {"app": "bot"}),
        ({b"x-tfy-logging-config": b'{"app": "bot"}', b"x-tfy-metadata": b'{"app": "web"}'}, {"app": "web"}),
        ({b"x-tfy-logging-config": b'{"app": "bot"}', b"x-tfy-metadata": b'{"a": "b"}'}, {"app": "bot", "a": "b"}),
    ],
)
def test_metadata_of_early_clients(headers, metadata):
    """They put it into the header that says whether bodies are logged."""
    assert metadata_of(headers) == metadata


@pytest.mark.parametrize(
    ("value", "logs"),
    [('{"enabled": true}', True), ('{"enabled": false}', False), ('{"enabled": 1}', None), ("{}", None)],
)
def test_whether_bodies_are_logged(value, logs):
    assert options_of({b"x-tfy-logging-config": value.encode()}).logs_bodies is logs


@pytest.mark.parametrize("value", [b"[]", b"{", b'{"app": "' + b"x" * 129 + b'"}'])
def test_a_logging_config_that_cannot_be_read(value):
    with pytest.raises(BadRequest, match="x-tfy-"):
        metadata_of({b"x-tfy-logging-config": value})
