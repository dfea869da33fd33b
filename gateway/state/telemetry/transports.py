"""How telemetry gets to where it is received: OTLP over HTTP, in protobuf or JSON, or over gRPC.

Source: https://opentelemetry.io/docs/specs/otlp/, sections "OTLP/HTTP" and "OTLP/gRPC". The messages are those of
opentelemetry-proto. The SDK's exporters are not used: they send from threads, by ways that know nothing of the rules
for addresses, and read an environment that may not be this gateway's.
"""

import asyncio
import gzip
import ssl
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
from aiohttp import ClientError, ClientSession
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from gateway.state.telemetry.settings import PORTS, Destination, Signal
from gateway.upstream.outgoing import Ways

RETRIED = frozenset({429, 502, 503, 504})
"""Statuses after which the same may be sent again. Source: "Failures" of OTLP/HTTP."""
RETRIED_CODES = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)
"""The same of gRPC."""
METHODS: Mapping[Signal, str] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_IDS = ("traceId", "spanId", "parentSpanId")


class Unsent(Exception):
    """It did not arrive. `reason`: one of a few words; `may_retry`: the same may be sent once more.

    `after_s`: not before; None: nothing was said.
    """

    def __init__(self, reason: str, *, may_retry: bool, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_retry = may_retry
        self.after_s = after_s


class Transport(Protocol):
    async def send(self, message: Message) -> None:
        """Raises Unsent."""

    async def close(self) -> None: ...


class HttpTransport:
    """Opens with the first message."""

    def __init__(self, destination: Destination, ways: Ways) -> None:
        self.destination = destination
        self.ways = ways
        self._is_json = destination.protocol == "http/json"
        kind = "application/json" if self._is_json else "application/x-protobuf"
        packing = {"content-encoding": "gzip"} if destination.is_gzip else {}
        secrets = {name: value.reveal() for name, value in destination.headers.items()}
        self._headers = {**secrets, "content-type": kind, **packing}
        self._session: ClientSession | None = None

    async def send(self, message: Message) -> None:
        body = json_of(message) if self._is_json else message.SerializeToString()
        if self.destination.is_gzip:
            body = await asyncio.to_thread(gzip.compress, body, 6)
        try:
            session = self._session or self._opened()
            # Not to follow redirects: what goes along is meant for nobody else.
            async with session.post(
                self.destination.endpoint, data=body, headers=self._headers, allow_redirects=False
            ) as answer:
                if answer.status >= 300:
                    after_s = _seconds(answer.headers.get("retry-after"))
                    raise Unsent(f"http_{answer.status}", may_retry=answer.status in RETRIED, after_s=after_s)
        except TimeoutError:
            raise Unsent("timeout", may_retry=True) from None
        except (ClientError, OSError, ValueError) as error:
            # Not `from` it: its text may hold the headers.
            raise Unsent("unreachable", may_retry=isinstance(error, OSError)) from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> ClientSession:
        destination = self.destination
        tls = ssl.create_default_context(cafile=destination.ca_file) if destination.ca_file else None
        self._session = self.ways.session(
            destination.endpoint, is_trusted=True, timeout_s=destination.timeout_s, tls=tls
        )
        return self._session


class GrpcTransport:
    """Opens with the first message. Proxies are as gRPC finds them in the environment."""

    def __init__(self, destination: Destination, signal: Signal) -> None:
        self.destination = destination
        self._method = METHODS[signal]
        self._metadata = tuple((name.lower(), value.reveal()) for name, value in destination.headers.items())
        self._channel: Any = None
        self._export: Any = None

    async def send(self, message: Message) -> None:
        import grpc

        if self._channel is None:
            self._open()
        try:
            await self._export(message.SerializeToString(), timeout=self.destination.timeout_s, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            raise Unsent(f"grpc_{code.lower()}", may_retry=code in RETRIED_CODES) from None

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    def _open(self) -> None:
        import grpc

        destination = self.destination
        target, is_tls = grpc_target(destination.endpoint)
        packing = grpc.Compression.Gzip if destination.is_gzip else None
        if is_tls:
            authorities = Path(destination.ca_file).read_bytes() if destination.ca_file else None
            credentials = grpc.ssl_channel_credentials(root_certificates=authorities)
            self._channel = grpc.aio.secure_channel(target, credentials, compression=packing)
        else:
            self._channel = grpc.aio.insecure_channel(target, compression=packing)
        self._export = self._channel.unary_unary(self._method)


def transport_to(destination: Destination, signal: Signal, ways: Ways) -> Transport:
    return GrpcTransport(destination, signal) if destination.protocol == "grpc" else HttpTransport(destination, ways)


def grpc_target(endpoint: str) -> tuple[str, bool]:
    """Host and port, and whether it is encrypted: unless it says `http`, it is."""
    parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or PORTS['grpc']}", parts.scheme != "http"


def json_of(message: Message) -> bytes:
    """OTLP's own JSON: ids in hexadecimal digits where protobuf has base64, and numbers for enumerations."""
    data = MessageToDict(message, use_integers_for_enums=True)
    with_hexadecimal_ids(data)
    return msgspec.json.encode(data)


def with_hexadecimal_ids(data: Any) -> None:
    for value in data.values() if isinstance(data, dict) else data:
        if isinstance(value, dict | list):
            with_hexadecimal_ids(value)
    if isinstance(data, dict):
        for name in _IDS:
            if name in data:
                data[name] = b64decode(data[name]).hex()


def _seconds(text: str | None) -> float | None:
    """Of a Retry-After; dates, which collectors do not send, are as if nothing was said."""
    with suppress(TypeError, ValueError):
        return max(0.0, float(text))  # type: ignore[arg-type]
    return None
