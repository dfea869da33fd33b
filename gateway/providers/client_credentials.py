"""Access tokens for the gateway itself: OAuth's client credentials.

Source: RFC 6749, sections 2.3.1 and 4.4.
"""

from base64 import b64encode
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any
from urllib.parse import quote_plus, urlencode

import msgspec

from gateway.contract import Endpoint, Reply, Tls, Upstream, UpstreamRequest
from gateway.errors import BrokeOff, Refused
from gateway.providers.credentials import BearerTokens, Lent, read_answer
from gateway.secrecy.secret import Secret
from gateway.wire.headers import wrong_value

USUAL_LIFE_S = 300.0
"""Of a token that comes without one; none is held on to for longer that might have ended."""
FORM = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
"""Headers of a request to a token endpoint."""

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
    """Of a token endpoint, whether it gives one or not. Source: RFC 6749, sections 5.1 and 5.2.

    `error_codes`: numbers by which Microsoft's documentation explains a refusal (`AADSTS7000215`).
    """

    access_token: str = ""
    token_type: str = "Bearer"
    expires_in: float = USUAL_LIFE_S
    error: str = ""
    error_codes: Any = None

    @property
    def reasons(self) -> Sequence[str]:
        codes = self.error_codes if isinstance(self.error_codes, list) else []
        numbers = [f"AADSTS{code}" for code in codes[:3] if type(code) is int]
        return [self.error, *numbers] if self.error in _REASONS else numbers


class ClientCredentials(BearerTokens):
    """Tokens for an id and a secret, which are sent as a user and a password.

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
        headers = FORM | {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        form = urlencode({"grant_type": "client_credentials", "scope": scope})
        self._request = UpstreamRequest(Endpoint(token_url, headers, tls=tls), form.encode())
        super().__init__(self._fetched, clock=clock)

    async def _fetched(self, network: Upstream) -> Lent[Secret]:
        return await fetch_token(self._request, network)


async def fetch_token(
    request: UpstreamRequest, network: Upstream, *, shown: str = "client id and secret"
) -> Lent[Secret]:
    """Asks a token endpoint.

    Args:
        shown: of the account, by which it was asked.

    Raises:
        UpstreamError: it gives no token; without what was sent, which an answer may repeat.
    """
    reply = await network.call(request)
    answer = _answer_in(await read_answer(reply))
    if reply.status >= 300:
        raise _refusal(reply, answer, shown)
    if not answer.access_token or wrong_value(answer.access_token):
        raise BrokeOff("the provider was asked for an access token and answered with something else")
    if answer.token_type.lower() != "bearer":
        raise BrokeOff("the provider gave an access token of another type than Bearer")
    return Lent(Secret(answer.access_token), answer.expires_in)


def _answer_in(body: bytes) -> Answer:
    try:
        return msgspec.json.decode(body, type=Answer, strict=False)  # some write the seconds as text
    except (msgspec.DecodeError, RecursionError):
        return Answer()


def _refusal(reply: Reply, answer: Answer, shown: str) -> Refused:
    """In words of our own: what the provider says may repeat what was sent."""
    status = reply.status
    if status in (400, 401, 403):
        said = f" ({', '.join(answer.reasons)})" if answer.reasons else ""
        message = f"the provider gives no access token for the account's {shown}{said}"
        return Refused(f"{message}; tell whoever runs the gateway", status=401, code="upstream_authentication_error")
    message = f"the provider was asked for an access token and answered with status {status}"
    waits = {name: value for name, value in reply.headers.items() if name.lower() == "retry-after"}
    return Refused(message, status=status if status == 429 or status >= 500 else 502, headers=waits)
