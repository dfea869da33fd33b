"""Request records to somebody else's server, a batch for each call."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Self

import msgspec
from aiohttp import ClientError

from gateway.contract import Record
from gateway.errors import ConfigError, Fault, Unavailable
from gateway.secrecy.secret import Secret
from gateway.upstream.outgoing import NoWay, Ways
from gateway.upstream.proxies import proxies_from
from gateway.wire.address import address_of

URL, SECRET = "GATEWAY_RECORDS_WEBHOOK", "GATEWAY_RECORDS_WEBHOOK_SECRET"
SIGNATURE = "x-gateway-signature"
TIMEOUT_S = 10.0
AT_ONCE = 200


class WebhookSink:
    """Posts `{"records": [...]}`. With a secret, the header `x-gateway-signature` is `sha256=` and the HMAC-SHA-256 of
    the body, in hex. Who answers with 2xx has got them; who does not gets them again, so by `request_id` each counts
    once.
    """

    def __init__(self, url: Secret, *, secret: Secret | None = None, ways: Ways | None = None) -> None:
        self._url = url
        self._secret = secret
        self._ways = ways or Ways()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self | None:
        """None: nobody wants it. Raises ConfigError."""
        url = environ.get(URL)
        if not url:
            return None
        try:
            address_of(url)
        except ValueError:
            # Not what is wrong with it: the address of a webhook is often its secret.
            raise ConfigError([Fault("the environment", 0, URL, "has to be an http:// or https:// URL")]) from None
        secret = environ.get(SECRET)
        return cls(Secret(url), secret=Secret(secret) if secret else None, ways=Ways(proxies=proxies_from(environ)))

    async def write(self, records: Sequence[Record]) -> None:
        """Raises Unavailable: it was not taken, or nobody can say."""
        for first in range(0, len(records), AT_ONCE):
            await self._post(msgspec.json.encode({"records": records[first : first + AT_ONCE]}))

    async def _post(self, body: bytes) -> None:
        url = self._url.reveal()
        headers = {"content-type": "application/json"}
        if self._secret is not None:
            digest = hmac.new(self._secret.reveal().encode(), body, hashlib.sha256).hexdigest()
            headers[SIGNATURE] = f"sha256={digest}"
        try:
            # Not to follow redirects: what goes along is meant for nobody else.
            async with (
                self._ways.session(url, is_trusted=True, timeout_s=TIMEOUT_S) as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                if answer.status >= 300:
                    raise Unavailable(f"the webhook answered {answer.status}", retry_after_s=1)
        except (ClientError, OSError, ValueError) as error:
            # Not `from` it: its text may hold the URL, which is a secret.
            cause = getattr(error, "os_error", error)
            reason = str(cause) if isinstance(cause, NoWay) else type(error).__name__
            raise Unavailable(f"the webhook cannot be reached: {reason}", retry_after_s=1) from None
