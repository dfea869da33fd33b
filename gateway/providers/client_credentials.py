"""Access tokens for the gateway itself: OAuth's client credentials.

Source: RFC 6749, sections 2.3.1 and 4.4.
"""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from time import perf_counter
from urllib.parse import quote_plus, urlencode

import msgspec

from gateway.contract import Endpoint, Reply, Tls, Upstream, UpstreamRequest
from gateway.errors import BrokeOff, Refused, TimedOut
from gateway.secrecy.secret import Secret
from gateway.wire.headers import wrong_value

EARLY_S = 60.0
"""So long before its end a token is renewed; Azure Databricks refuses those that have 30 s left.

Source: databricks/sdk/oauth.py of databricks-sdk-py, read 2026-11.
"""
USUAL_LIFE_S = 300.0
"""Of a token that comes without one; none is held on to for longer that might have ended."""
FETCH_S = 10.0
DROP_EVERY_S = 10.0
"""Requests that went out with a refused token are refused one after the other; its successor is not to blame."""
MAX_ANSWER_BYTES = 64 * 1024

_REASONS = frozenset(
    {
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
"""What a refusal may say, and all of it that is shown. Source: RFC 6749, section 5.2."""


class Answer(msgspec.Struct):
    """Of a token endpoint, whether it gives one or not. Source: RFC 6749, sections 5.1 and 5.2."""

    access_token: str = ""
    token_type: str = "Bearer"
    expires_in: float = USUAL_LIFE_S
    error: str = ""


class Token(msgspec.Struct, frozen=True):
    value: Secret
    renew_at_s: float


class ClientCredentials:
    """A `Signer` that fetches a token when it is first needed, and a new one shortly before that ends.

    However many requests wait for a token, it is fetched once. The fetch goes on when they leave, for no longer than
    `FETCH_S`: else callers in a hurry would never get a slow one. One that fails is told to those who wait for it, and
    tried again by the next to come.

    Args:
        scope: words with spaces between.
        clock: monotonic seconds.

    Raises:
        ValueError: the URL cannot be called; worded for the operator.
    """

    def __init__(
        self,
        token_url: str,
        client_id: Secret,
        client_secret: Secret,
        *,
        scope: str,
        tls: Tls | None = None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        pair = f"{quote_plus(client_id.reveal())}:{quote_plus(client_secret.reveal())}"
        headers = {
            "accept": "application/json",
            "authorization": f"Basic {b64encode(pair.encode()).decode()}",
            "content-type": "application/x-www-form-urlencoded",
        }
        form = urlencode({"grant_type": "client_credentials", "scope": scope})
        self._request = UpstreamRequest(Endpoint(token_url, headers, tls=tls), form.encode())
        self._clock = clock
        self._token: Token | None = None
        self._fetching: asyncio.Task[Token] | None = None
        self._next_drop_at_s = clock()

    async def sign(self, request: UpstreamRequest, network: Upstream) -> UpstreamRequest:
        token = self._token
        if token is None or self._clock() >= token.renew_at_s:
            token = await self._fetched(network)
        endpoint = request.endpoint.with_headers({"authorization": f"Bearer {token.value.reveal()}"})
        return msgspec.structs.replace(request, endpoint=endpoint)

    def drop(self) -> None:
        """The provider has refused the token. The next request fetches another, unless one was dropped just before."""
        now_s = self._clock()
        if now_s >= self._next_drop_at_s:
            self._next_drop_at_s = now_s + DROP_EVERY_S
            self._token = None

    async def _fetched(self, network: Upstream) -> Token:
        fetching = self._fetching
        if fetching is None:
            fetching = self._fetching = asyncio.create_task(self._fetch(network))
            fetching.add_done_callback(self._ended)
        await asyncio.wait([fetching])  # which, unlike `await fetching`, leaves it alone when it is cancelled
        return fetching.result()

    def _ended(self, fetching: asyncio.Task[Token]) -> None:
        self._fetching = None
        if not fetching.cancelled():
            fetching.exception()  # those who would have had it may all have left

    async def _fetch(self, network: Upstream) -> Token:
        asked_at_s = self._clock()
        try:
            async with asyncio.timeout(FETCH_S):
                reply = await network.call(self._request)
                try:
                    body = await _body_of(reply)
                finally:
                    reply.close()
        except TimeoutError as error:
            raise TimedOut(f"the provider gave no access token within {FETCH_S:g} s") from error
        answer = _answer_in(body)
        if reply.status >= 300:
            raise _refusal(reply, answer.error)
        if not answer.access_token or wrong_value(answer.access_token):
            raise BrokeOff("the provider was asked for an access token and answered with something else")
        if answer.token_type.lower() != "bearer":
            raise BrokeOff("the provider gave an access token of another type than Bearer")
        lasts_s = max(answer.expires_in - EARLY_S, answer.expires_in / 2)
        self._token = Token(Secret(answer.access_token), asked_at_s + lasts_s)
        return self._token


async def _body_of(reply: Reply) -> bytes:
    body = b""
    while len(body) < MAX_ANSWER_BYTES and (more := await reply.read()):
        body += more
    return body


def _answer_in(body: bytes) -> Answer:
    try:
        return msgspec.json.decode(body, type=Answer, strict=False)  # some write the seconds as text
    except (msgspec.DecodeError, RecursionError):
        return Answer()


def _refusal(reply: Reply, reason: str) -> Refused:
    """In words of our own: what the provider says may repeat what was sent."""
    status = reply.status
    if status in (400, 401, 403):
        said = f" ({reason})" if reason in _REASONS else ""
        message = f"the provider gives no access token for the account's client id and secret{said}"
        return Refused(f"{message}; tell whoever runs the gateway", status=401, code="upstream_authentication_error")
    message = f"the provider was asked for an access token and answered with status {status}"
    waits = {name: value for name, value in reply.headers.items() if name.lower() == "retry-after"}
    return Refused(message, status=status if status == 429 or status >= 500 else 502, headers=waits)
