"""How a vendor is spoken to, and how it is reached."""

import re
from collections.abc import AsyncIterable, Awaitable, Collection, Iterable, Iterator, Mapping, Set
from copy import copy
from typing import Any, Protocol, runtime_checkable
from urllib.parse import unquote

import msgspec

from gateway.contract.call import Call, Head, Reading
from gateway.contract.price import Price
from gateway.contract.usage import Usage
from gateway.errors import Refused
from gateway.logs import MASK
from gateway.wire.address import address_of
from gateway.wire.headers import wrong_headers, wrong_value


class Tls(msgspec.Struct, frozen=True):
    """How a provider's certificate is checked. `ca_cert` is PEM text added to the system's authorities."""

    verify: bool = True
    ca_cert: str | None = None


_DOTS = frozenset({".", ".."})
_KEY_NAMES = re.compile(r"key|token|secret|sig|password|passwd|auth|code|credential", re.IGNORECASE)
_NO_SECRETS = frozenset({b"accept", b"accept-encoding", b"accept-language", b"content-type", b"host", b"user-agent"})

SHORTEST_SECRET = 8
"""Bytes; less is a word that may stand anywhere."""


class Endpoint:
    """One URL of a provider, ready to be called: where to connect, and the request head, written once.

    Args:
        url: absolute, http or https, with the query if there is one.
        headers: sent with every call, credentials included. Content-Length and Host are added.

    Raises:
        ValueError: it could not be called safely; worded for the operator, and without what is secret.
    """

    __slots__ = ("head", "host", "is_tls", "origin", "port", "tls", "url")

    def __init__(
        self, url: str, headers: Mapping[str, str] | None = None, *, method: str = "POST", tls: Tls | None = None
    ) -> None:
        try:
            address = address_of(url)
        except ValueError as error:
            raise ValueError(f"the URL {error}") from None
        # Of plugins, too: what ends a request, or hides another in it, is the gateway's to say.
        if wrong := wrong_headers((headers or {}).items(), fixed=()):
            raise ValueError(f"headers for {address.host}: {next(iter(wrong.values()))}")
        self.url = url
        self.is_tls = address.is_tls
        self.host = address.host
        self.port = address.port
        self.tls = tls or Tls()
        self.origin = (self.host, self.port, self.tls if self.is_tls else None)
        lines = {"host": address.authority, "accept-encoding": "identity"}
        lines |= {name.lower(): value for name, value in (headers or {}).items()}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.head = f"{method} {address.target} HTTP/1.1\r\n{text}".encode()

    def with_headers(self, headers: Mapping[str, str], remove: Collection[str] = ()) -> "Endpoint":
        """The same with other headers, for a single request; names in lower case.

        Raises:
            ValueError: a value cannot be one.
        """
        for name, value in headers.items():
            if wrong := wrong_value(value):
                raise ValueError(f"{name}: {wrong}")
        gone = {name.encode() for name in (*headers, *remove)}
        request, *lines = self.head.split(b"\r\n")[:-1]
        kept = [line for line in lines if line.partition(b":")[0] not in gone]
        new = [f"{name}: {value}".encode() for name, value in headers.items()]
        other = copy(self)
        other.head = b"\r\n".join([request, *kept, *new, b""])
        return other

    def at(self, target: str, *, method: str | None = None) -> "Endpoint":
        """The same host, with the same headers.

        Args:
            target: path and query, percent-encoded, as they are sent.
            method: None: the same.

        Raises:
            ValueError: one of them would end the line that they stand in, or lead elsewhere.
        """
        line, rest = self.head.split(b"\r\n", 1)
        method = line.partition(b" ")[0].decode() if method is None else method
        if not (target.startswith("/") and target.isascii() and target.isprintable() and " " not in target):
            raise ValueError("the path and its query must be percent-encoded")
        # Some servers decode twice, and some see parameters behind a `;`, and `..` before it.
        path = unquote(unquote(target.partition("?")[0])).replace("\\", "/")
        if not _DOTS.isdisjoint(segment.partition(";")[0] for segment in path.split("/")):
            raise ValueError("the path must not lead out of itself, by . or ..")
        if not (method.isascii() and method.isalpha()):
            raise ValueError("the method must be a word")
        other = copy(self)
        other.url = f"http{'s' * self.is_tls}://{address_of(self.url).authority}{target}"
        other.head = b"%b %b HTTP/1.1\r\n%b" % (method.encode(), target.encode(), rest)
        return other

    def hidden(self, data: bytes) -> bytes:
        """Without the values of its headers, the key among them, nor keys in its URL: some servers repeat them in
        errors."""
        for secret in self.secrets():
            data = data.replace(secret, MASK.encode())
        return data

    def secrets(self) -> Iterator[bytes]:
        """Those values, what holds another one before it."""
        yield from _in_query(self.url)
        for line in self.head.split(b"\r\n")[1:-1]:
            name, _, value = line.partition(b": ")
            for part in (value, value.rpartition(b" ")[2]) if name not in _NO_SECRETS else ():
                if len(part) >= SHORTEST_SECRET:
                    yield part

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r})"  # the head holds the key


def _in_query(url: str) -> Iterator[bytes]:
    """What looks like a key by its name, as it is written there and as it is meant."""
    for pair in url.partition("?")[2].partition("#")[0].split("&"):
        name, _, value = pair.partition("=")
        if len(value) >= SHORTEST_SECRET and _KEY_NAMES.search(name):
            yield from {value.encode(), unquote(value).encode()}


class UpstreamRequest(msgspec.Struct, frozen=True):
    """What goes out.

    Args:
        body: all of it, or its pieces: they are taken once, each when the one before has gone out.
        dropped_params: fields of the call that this provider would refuse, and that were left out.
        length: of a body in pieces, in bytes; None: it is not known, and they go out in chunks.
        opens_socket: it is the handshake of a WebSocket, by GET and without a body.
    """

    endpoint: Endpoint
    body: bytes | AsyncIterable[bytes]
    dropped_params: tuple[str, ...] = ()
    length: int | None = None
    opens_socket: bool = False


class Reply(Protocol):
    """A provider's answer whose head has arrived."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Case-insensitive."""

    def read(self) -> Awaitable[bytes]:
        """What has arrived since the last call, at least one byte; `b""` at the end.

        Raises:
            BrokeOff: the connection ended before the reply did, or it is not HTTP.
        """

    def close(self) -> None:
        """Gives the connection back, or closes it when the reply was not read to its end. Safe to call twice."""


class Socket(Reply, Protocol):
    """A WebSocket that a provider has opened: a reply with status 101, which has no body to read."""

    close_code: int
    """Once `receive` gave None: the provider's, 1005 if it said none. Source: RFC 6455, section 7.4."""
    close_reason: str

    async def receive(self) -> str | bytes | None:
        """The next message, whole; None: the provider has closed.

        Raises:
            BrokeOff: the connection ended without that, or it is not as the protocol says.
        """

    async def send(self, message: str | bytes) -> None:
        """Returns when the provider can take more.

        Raises:
            BrokeOff: the connection has ended.
        """

    async def end(self, code: int) -> None:
        """Says that this is all, and waits a moment for the answer. Never raises."""


class Upstream(Protocol):
    async def call(self, request: UpstreamRequest) -> Reply:
        """Sends a request and waits for the head of the answer: a `Socket` where one was asked for and opened.

        If that comes before all pieces of a body are sent, no more of them are.

        Raises:
            Unreachable: no connection could be made.
            BrokeOff: the connection ended before there was a head.
            TimedOut: connecting took too long, or the connection died before there was a head.
            ValueError: the pieces of the body are more or fewer bytes than its length.
            Exception: whatever else they raise; the provider does not get a whole request then, either.
        """


class Signer(Protocol):
    """What has to be waited for before a request can go out: a token that must be fetched, a signature."""

    async def sign(self, request: UpstreamRequest, network: Upstream) -> UpstreamRequest:
        """The request as it is to be sent.

        Args:
            network: that of the target. What is asked for meanwhile is asked for there and nowhere else, so that what
                holds of the target's own address holds of it.

        Raises:
            UpstreamError: it cannot be signed; as if the provider itself had not answered.
        """


class Concurrency(msgspec.Struct, frozen=True):
    """How many calls run at once, how many more wait, and for how long."""

    max_concurrent: int
    max_queued: int = 100
    wait_s: float = 1.0


class Target(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One model of one provider account, compiled from its manifest."""

    name: str
    """`account/model`: what callers ask for."""
    model: str
    """The provider's own name for it."""
    model_types: frozenset[str]
    provider: "Provider"
    users: Set[str] = frozenset()
    """Subjects that may use it, besides admins; compiled from the grants, not by the provider."""
    only: frozenset[str] | None = None
    """Of those, the ones that may; None is all."""
    concurrency: Concurrency | None = None
    """How much its account takes at once; None is any number."""
    price: Price | None = None
    """None: what it costs is not known."""
    states_cost: bool = False
    """Its provider says what each call costs, and is believed before the public price list, not before the manifest."""
    settings: Any = None
    """What the provider prepared for itself when the manifest was compiled."""
    upstream: Upstream | None = None
    """Who answers; None is the network."""
    signer: Signer | None = None
    """None: requests go out as the provider makes them."""
    account: str = ""
    """Follows from the name."""

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "account", self.name.partition("/")[0])

    def cost(self, usage: Usage, at_s: float) -> int | None:
        """In nano-dollars: what its provider says, where that counts, or else by its price; None: nobody knows.

        Args:
            at_s: seconds since 1970, as prices change.
        """
        if usage.stated_cost is not None and self.states_cost:
            return usage.stated_cost
        return self.price.cost(usage, at_s) if self.price is not None else None


@runtime_checkable
class StartsWithKeys(Protocol):
    """What a provider may have besides, so that a key in the environment is all it takes to begin."""

    def accounts_for(self, variables: Collection[str]) -> Iterable[dict[str, Any]]:
        """Documents of accounts, as in manifests, for those environment variables that hold something.

        A key is referred to as `${NAME}`. They count when there is no configuration.
        """


class Provider(Protocol):
    """How to speak to one vendor: bytes in, bytes out, no network. Made once; serves all accounts of its types."""

    accounts: Mapping[str, Any]
    """Manifest `type` -> the msgspec.Struct its document is read into."""

    def targets(self, account: Any) -> Iterable[Target]:
        """The models of one account. Raises ValueError, worded for the operator, when it cannot be used."""

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """Raises BadRequest when this provider has no such API."""

    def reading(self, call: Call, target: Target, head: Head) -> Reading | None:
        """None: the provider speaks the caller's dialect, and its bytes are relayed as they are."""

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> Refused:
        """The provider's error answer in neutral words, for the dialect to put into its own.

        `Refused.body` is for those whose errors are in the dialect already.
        """


@runtime_checkable
class RelaysRefusals(Protocol):
    """What a `Provider` may have besides, for APIs in which each status says something to the caller alone."""

    def relays(self, call: Call, target: Target, status: int) -> bool:
        """Whether an answer with a status from 300 up is passed on as any other; else it is a refusal."""


@runtime_checkable
class ListsModels(Protocol):
    """What a `Provider` may have besides. Accounts that offer any model, as `account/*`, then show which there are."""

    def listing(self, target: Target) -> UpstreamRequest | None:
        """What to ask the vendor; None: it has no list, or none for this account. `target`: `account/*`."""

    def listed(self, target: Target, body: bytes) -> Iterable[str]:
        """The vendor's names for its models, as callers give them behind `account/`. Raises ValueError: it is no
        list."""


@runtime_checkable
class ServesAccounts(Protocol):
    """What a `Provider` may have besides: APIs of what belongs to an account, such as files and batches. Their calls
    have `Ask.object`, and come with a target that stands for the account: it has no `model`."""

    def serves(self, api: str, target: Target) -> bool:
        """Whether the account of this target has such an API."""
