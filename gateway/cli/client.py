"""The control API of a running gateway, over HTTP."""

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import click
import msgspec

from gateway._version import __version__
from gateway.cli.address import Address
from gateway.cli.terminal import failed, printable

ROOT = "/api/svc/v1"
CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 60.0

T = TypeVar("T")
Query = Mapping[str, str | int | Sequence[str] | None]
"""What has several values stands there as often."""


class Credential(NamedTuple):
    """A token, and where it comes from: `$GATEWAY_ADMIN_TOKEN`."""

    text: str
    source: str

    def __repr__(self) -> str:
        return f"Credential({self.source})"


class ControlApi:
    """Asks the gateway at a URL, as the owner of a token.

    Each call has its own connection, follows no redirect and uses no proxy, so the token goes where the URL says. It
    raises `click.ClickException`, whose text tells people what went wrong; the token is never part of it.

    Args:
        timeout_s: how long the gateway may take to answer.
    """

    def __init__(self, address: Address, credential: Credential, *, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self.url = address.url
        self.credential = credential
        self._address = address
        self.timeout_s = timeout_s

    def ask(
        self,
        method: str,
        *path: str,
        kind: type[T],
        query: Query | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> T:
        """The answer, read as a `kind`. Parts of the path are encoded here; what is None in the query is left out."""
        data = self._answer(method, path, query or {}, body)
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.ValidationError as error:
            raise failed(
                f"{self.url} gave an answer that is not understood ({error}); is its version another?"
            ) from None
        except msgspec.DecodeError:
            raise self._not_json() from None

    def tell(self, method: str, *path: str, body: Mapping[str, Any] | None = None) -> None:
        """For calls whose answer says no more than that they worked."""
        data = self._answer(method, path, {}, body)
        try:
            msgspec.json.decode(data or b"null")
        except msgspec.DecodeError:
            raise self._not_json() from None

    def _answer(self, method: str, parts: tuple[str, ...], query: Query, body: Mapping[str, Any] | None) -> bytes:
        path = self._path(parts, query)
        status, location, data = self._exchange(method, path, msgspec.json.encode(body) if body is not None else None)
        if 200 <= status < 300:
            return data
        raise self._refused(status, location, data)

    def lines(self, *path: str, query: Query, timeout_s: float | None = None) -> Iterator[bytes]:
        """Of an answer that is written while it goes out, each with its end.

        Args:
            timeout_s: how long the gateway may say nothing.
        """
        with closing(self._connection()) as connection:
            try:
                connection.connect()
            except (OSError, UnicodeError) as error:
                raise nobody_answers(self._address, error) from None
            try:
                connection.sock.settimeout(timeout_s or self.timeout_s)
                connection.request("GET", self._path(path, query), None, self._headers())
                response = connection.getresponse()
                if response.status == 200:
                    yield from response
                    return
                location, data = response.getheader("Location"), response.read()
            except (OSError, http.client.HTTPException) as error:
                raise failed(f"{self.url} broke off ({_reason(error)})") from None
        raise self._refused(response.status, location if 300 <= response.status < 400 else None, data)

    def _path(self, parts: tuple[str, ...], query: Query) -> str:
        for part in parts:
            if part in ("", ".", ".."):
                raise click.UsageError(f"{part!r} cannot be a name")
        path = "/".join([self._address.path + ROOT, *(quote(part, safe="") for part in parts)])
        if asked := {name: value for name, value in query.items() if value is not None}:
            path += f"?{urlencode(asked, doseq=True)}"
        return path

    def _refused(self, status: int, location: str | None, data: bytes) -> click.ClickException:
        if location:
            return failed(f"{self.url} redirects to {location}; if that is your gateway, name it with --url")
        return Refusal(self._refusal(status, data), _said(data, "param"))

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, str | None, bytes]:
        """Status, where a redirect leads, and body."""
        with closing(self._connection()) as connection:
            try:
                connection.connect()
            except (OSError, UnicodeError) as error:  # UnicodeError: a host name that cannot be one
                raise nobody_answers(self._address, error) from None
            try:
                connection.sock.settimeout(self.timeout_s)
                connection.request(method, path, body, self._headers())
                response = connection.getresponse()
                data = response.read()
            except (OSError, http.client.HTTPException) as error:
                doubt = "" if method == "GET" else "; it may have done what was asked all the same"
                raise failed(f"{self.url} gave no answer ({_reason(error)}){doubt}") from None
        is_redirect = 300 <= response.status < 400
        return response.status, response.getheader("Location") if is_redirect else None, data

    def _connection(self) -> http.client.HTTPConnection:
        at = self._address
        if at.is_https:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(at.host, at.port, timeout=CONNECT_TIMEOUT_S, context=context)
        return http.client.HTTPConnection(at.host, at.port, timeout=CONNECT_TIMEOUT_S)

    def _headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.credential.text}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": f"gateway/{__version__}",
        }

    def _refusal(self, status: int, data: bytes) -> str:
        message = _said(data, "message")
        if message is None:
            return f"{self.url} answered with status {status} and no message; is that a gateway?"
        if status == 401:
            return f"the gateway does not take the token of {self.credential.source}: {message}"
        if status == 403:
            return f"this token may not do that: {message}"
        return message if status < 500 else f"{message} (status {status})"

    def _not_json(self) -> click.ClickException:
        return failed(f"the answer of {self.url} is not JSON; is that a gateway?")


class Refusal(click.ClickException):
    """The gateway said no; `param` is what it is about, if it said so."""

    def __init__(self, message: str, param: str | None) -> None:
        super().__init__(message)
        self.param = param


def require_gateway(address: Address) -> None:
    """Raises `click.ClickException`: nothing listens there, so a token would not help."""
    try:
        socket.create_connection(
            (address.host, address.port or (443 if address.is_https else 80)), CONNECT_TIMEOUT_S
        ).close()
    except (OSError, UnicodeError) as error:
        raise nobody_answers(address, error) from None


def nobody_answers(address: Address, error: Exception) -> click.ClickException:
    return failed(
        f"no gateway answers at {address.url} ({_reason(error)}); start one with `gateway serve` or name it with --url"
    )


def _said(data: bytes, field: str) -> str | None:
    """A field of an error, as far as it is text."""
    try:
        body = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return None
    for holder in (body, body.get("error") if isinstance(body, dict) else None):
        if isinstance(holder, dict) and isinstance(holder.get(field), str):
            return printable(holder[field])
    return None


def _reason(error: Exception) -> str:
    if isinstance(error, http.client.BadStatusLine) and not isinstance(error, OSError):
        return "what it said is not HTTP"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
