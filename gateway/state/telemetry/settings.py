"""Where telemetry goes, as the environment says: the variables `OTEL_...`, and two of our own.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/, read 2026-11; `LLM_GATEWAY_METADATA_LOGGING_KEYS` and
`ENABLE_OTEL_METRICS` are TrueFoundry's.
"""

import re
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, TypeVar, get_args
from urllib.parse import unquote

import msgspec

from gateway.errors import ConfigError, Fault
from gateway.secrecy.secret import Secret
from gateway.wire.address import address_of
from gateway.wire.headers import wrong_headers
from gateway.wire.trace_context import Sampling

Signal: TypeAlias = Literal["traces", "metrics", "logs"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)
Protocol: TypeAlias = Literal["http/protobuf", "http/json", "grpc"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
PORTS: Mapping[Protocol, int] = {"http/protobuf": 4318, "http/json": 4318, "grpc": 4317}
SERVICE = "llm-asgi-gateway"
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
CONTENT_IN_SPANS = ("true", "span_only", "span_and_event")
NO_CONTENT = ("false", "no_content", "event_only")
"""Here, there are no such events."""
MOST_KEYS = 10
"""Of the metadata, as each multiplies the series."""

_LABEL = re.compile(r"[A-Za-z0-9_]+")
_OTEL = "OTEL_EXPORTER_OTLP"
Value = TypeVar("Value")


class Destination(msgspec.Struct, frozen=True):
    """Where one signal is sent to.

    Args:
        endpoint: a URL; with gRPC, its path counts for nothing, and `http` is without encryption.
        headers: of gRPC, the metadata.
        timeout_s: of one batch, all attempts at it included.
        is_gzip: bodies are packed.
        ca_file: with the authorities that certificates have to be of; None: the system's.
    """

    endpoint: str
    protocol: Protocol = "http/protobuf"
    headers: Mapping[str, Secret] = {}
    timeout_s: float = 10.0
    is_gzip: bool = False
    ca_file: str | None = None


class TelemetrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        destinations: of those signals that are sent.
        resource: what is told of the gateway with all that is sent.
        is_delta: metrics tell what was new since they were sent last, and not since the gateway began.
        every_s: metrics are sent so often.
        metadata_keys: labels of the metrics.
        by_user: so is who called.
        traced_accounts: providers that are told which trace they take part in; `*` is all.
        tells_content: traces say what was asked and answered, where that may be written down.
    """

    destinations: Mapping[Signal, Destination] = {}
    resource: Mapping[str, str] = msgspec.field(default_factory=lambda: {"service.name": SERVICE})
    sampling: Sampling = Sampling()
    is_delta: bool = False
    every_s: float = 60.0
    metadata_keys: tuple[str, ...] = ()
    by_user: bool = False
    traced_accounts: frozenset[str] = frozenset()
    tells_content: bool = False


def telemetry_from(environ: Mapping[str, str]) -> TelemetrySettings:
    """Raises ConfigError, with all that is wrong."""
    read = _Reader(environ)
    settings = TelemetrySettings(
        destinations=_destinations(read),
        resource=_resource(read),
        sampling=_sampling(read),
        is_delta=read.word(f"{_OTEL}_METRICS_TEMPORALITY_PREFERENCE", ("cumulative", "delta", "lowmemory")) == "delta",
        every_s=read.number("OTEL_METRIC_EXPORT_INTERVAL", 60_000) / 1000,
        metadata_keys=read.value("LLM_GATEWAY_METADATA_LOGGING_KEYS", _keys) or (),
        by_user=read.flag("GATEWAY_METRICS_BY_USER"),
        traced_accounts=frozenset(filter(None, map(str.strip, read.text("GATEWAY_TRACED_ACCOUNTS").split(",")))),
        tells_content=read.word(CONTENT, (*CONTENT_IN_SPANS, *NO_CONTENT)) in CONTENT_IN_SPANS,
    )
    if read.faults:
        raise ConfigError([*dict.fromkeys(read.faults)])  # what is for all signals is looked at for each
    return settings


class _Reader:
    """Of variables. An empty one is as one that is not there."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.faults: list[Fault] = []

    def text(self, name: str) -> str:
        return self.environ.get(name, "").strip()

    def value(self, name: str, parse: Callable[[str], Value]) -> Value | None:
        text = self.text(name)
        try:
            return parse(text) if text else None
        except ValueError as error:
            self.faults.append(Fault("the environment", 0, name, str(error)))
            return None

    def first(self, names: tuple[str, str], parse: Callable[[str], Value]) -> Value | None:
        """That of one signal, else that of all."""
        own, common = names
        return self.value(own if self.text(own) else common, parse)

    def word(self, name: str, words: tuple[str, ...]) -> str | None:
        return self.value(name, lambda text: _word(text.lower(), words))

    def flag(self, name: str, default: str = "false") -> bool:
        return (self.word(name, ("true", "false")) or default) == "true"

    def number(self, name: str, default: int) -> int:
        return self.value(name, _number) or default


def _destinations(read: _Reader) -> dict[Signal, Destination]:
    if read.flag("OTEL_SDK_DISABLED"):
        return {}
    found: dict[Signal, Destination] = {}
    for signal in SIGNALS:
        chosen = read.text(f"OTEL_{signal.upper()}_EXPORTER").lower()
        is_off = chosen == "none" or (signal == "metrics" and not read.flag("ENABLE_OTEL_METRICS", "true"))
        if chosen not in ("", "none", "otlp"):
            problem = f"must be otlp or none, and is {chosen[:20]!r}: Prometheus asks at /metrics in any case"
            read.faults.append(Fault("the environment", 0, f"OTEL_{signal.upper()}_EXPORTER", problem))
        destination = None if is_off else _destination(read, signal)
        if destination is not None:
            found[signal] = destination
    return found


def _destination(read: _Reader, signal: Signal) -> Destination | None:
    """None: no endpoint is named."""

    def names(what: str) -> tuple[str, str]:
        return f"{_OTEL}_{signal.upper()}_{what}", f"{_OTEL}_{what}"

    own, common = names("ENDPOINT")
    protocol = read.first(names("PROTOCOL"), _protocol) or "http/protobuf"
    endpoint = read.value(own, _url)
    if endpoint is None and (base := read.value(common, _url)) is not None:
        endpoint = base if protocol == "grpc" else f"{base.rstrip('/')}/v1/{signal}"
    if endpoint is None:
        return None
    return Destination(
        endpoint,
        protocol,
        read.first(names("HEADERS"), _headers) or {},
        (read.first(names("TIMEOUT"), _number) or 10_000) / 1000,
        read.first(names("COMPRESSION"), lambda text: _word(text, ("gzip", "none"))) == "gzip",
        read.first(names("CERTIFICATE"), str),
    )


def _resource(read: _Reader) -> Mapping[str, str]:
    resource = {"service.name": SERVICE, **(read.value("OTEL_RESOURCE_ATTRIBUTES", _pairs) or {})}
    if name := read.text("OTEL_SERVICE_NAME"):
        resource["service.name"] = name
    return resource


def _sampling(read: _Reader) -> Sampling:
    plain = ("always_on", "always_off", "traceidratio")
    chosen = read.word("OTEL_TRACES_SAMPLER", (*plain, *(f"parentbased_{each}" for each in plain)))
    if chosen is None:
        return Sampling()
    ratio = read.value("OTEL_TRACES_SAMPLER_ARG", _ratio)
    match chosen.removeprefix("parentbased_"):
        case "always_on":
            ratio = 1.0
        case "always_off":
            ratio = 0.0
    return Sampling(1.0 if ratio is None else ratio, joins=chosen.startswith("parentbased_"))


# --- values ----------------------------------------------------------------------------------------------------------


def _word(text: str, words: tuple[str, ...]) -> str:
    if text not in words:
        raise ValueError(f"must be one of {', '.join(words)}, and is {text[:30]!r}")
    return text


def _protocol(text: str) -> Protocol:
    for protocol in PROTOCOLS:
        if text == protocol:
            return protocol
    raise ValueError(f"must be one of {', '.join(PROTOCOLS)}, and is {text[:30]!r}")


def _url(text: str) -> str:
    address_of(text)
    return text


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 86_400_000:
        raise ValueError("must be a number of milliseconds above 0, up to a day")
    return int(text)


def _ratio(text: str) -> float:
    ratio = float(text)
    if not 0 <= ratio <= 1:
        raise ValueError("must be a number from 0 to 1")
    return ratio


def _pairs(text: str) -> dict[str, str]:
    """`name=value,name=value`, with values as in URLs. It repeats none of them: they may be secret."""
    found: dict[str, str] = {}
    for number, pair in enumerate(text.split(","), 1):
        name, equals, value = pair.partition("=")
        if pair.strip() and not (equals and name.strip()):
            raise ValueError(f"entry {number} is not of the form name=value")
        if pair.strip():
            found[unquote(name.strip())] = unquote(value.strip())
    return found


def _headers(text: str) -> dict[str, Secret]:
    pairs = {name.lower(): value for name, value in _pairs(text).items()}
    for name, problem in wrong_headers(pairs.items()).items():
        raise ValueError(f"{name}: {problem}")
    return {name: Secret(value) for name, value in pairs.items()}


def _keys(text: str) -> tuple[str, ...]:
    try:
        keys = msgspec.json.decode(text, type=tuple[str, ...])
    except msgspec.DecodeError:
        raise ValueError('must be a JSON list of keys, as in ["team", "project"]') from None
    if len(keys) > MOST_KEYS or not all(map(_LABEL.fullmatch, keys)):
        raise ValueError(f"must be at most {MOST_KEYS} keys of letters, digits and _: each becomes a label of metrics")
    return tuple(dict.fromkeys(keys))
