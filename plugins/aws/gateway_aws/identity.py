"""Who the gateway is at AWS: keys of an account, its own identity, or a role that this may take on.

AWS gives the gateway's own identity at link-local addresses, by files and by other services of its own. The gateway's
network never goes to such addresses, so botocore does, in a thread; where it goes is its own, and nothing that an
account says. Roles are asked for by the gateway's network, where the rules for addresses hold.

Source: docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html and /STS/latest/APIReference/
API_AssumeRole.html; botocore/credentials.py of botocore 1.44.5; read 2026-11.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import perf_counter, time
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from gateway.contract import Endpoint, Reply, Upstream, UpstreamRequest
from gateway.errors import BrokeOff, Refused, UpstreamError
from gateway.providers.credentials import Fresh, Lent, read_answer
from gateway.secrecy.secret import Secret
from gateway_aws.accounts import AccessKeyAuth, AssumedRoleAuth, KeysAuth, domain_of
from gateway_aws.signing import Keys, signed

FOREVER_S = 3600.0
"""How long keys without an end are kept before they are looked at again."""
ROLE_S = 3600
SESSION = "llm-asgi-gateway"
"""What a role's use is called in AWS's logs."""

_FORM = {"content-type": "application/x-www-form-urlencoded"}


class OwnIdentity:
    """The gateway's own, as botocore finds it: environment, files, pod, machine. One for all accounts.

    Args:
        session: makes what looks for it.
    """

    def __init__(self, session: Callable[[], Session] = Session) -> None:
        self._session = session
        self._renewed: Any = None
        """Credentials that botocore renews by itself; all others are looked for anew."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aws-identity")  # started when it is needed
        self.keys: Fresh[Keys] = Fresh(self._fetch)

    async def _fetch(self, network: Upstream) -> Lent[Keys]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._look)
        except (BotoCoreError, ClientError) as error:
            raise _refused("the gateway's identity at AWS cannot be renewed") from error

    def _look(self) -> Lent[Keys]:
        found = self._renewed or self._session().get_credentials()
        if found is None:
            raise _refused("the account has no auth_data, and the gateway no identity of its own at AWS")
        frozen = found.get_frozen_credentials()
        token = Secret(frozen.token) if frozen.token else None
        end = getattr(found, "_expiry_time", None)  # botocore tells it in no other way
        left_s = max(1.0, end.timestamp() - time()) if isinstance(end, datetime) else FOREVER_S
        self._renewed = found if isinstance(end, datetime) else None
        return Lent(Keys(Secret(frozen.access_key), Secret(frozen.secret_key), token), left_s)


def keys_for(auth: KeysAuth | None, region: str, own: OwnIdentity) -> Fresh[Keys]:
    """Raises ValueError: worded for the operator."""
    match auth:
        case AccessKeyAuth():
            keys = Keys(auth.access_key_id, auth.secret_access_key, auth.session_token)
            return Fresh(_constant(keys))
        case AssumedRoleAuth():
            return Fresh(AssumedRole(auth, region, own.keys))
    return own.keys


def _constant(keys: Keys) -> Callable[[Upstream], Awaitable[Lent[Keys]]]:
    async def fetch(network: Upstream) -> Lent[Keys]:
        return Lent(keys, math.inf)

    return fetch


class AssumedRole:
    """A `Fetch`: keys of a role, for an hour."""

    def __init__(
        self, auth: AssumedRoleAuth, region: str, own: Fresh[Keys], *, clock: Callable[[], float] = perf_counter
    ) -> None:
        self._own = own
        self._region = region
        self._endpoint = Endpoint(sts_url(region), _FORM)
        form = {
            "Action": "AssumeRole",
            "Version": "2011-06-15",
            "RoleArn": auth.assumed_role_arn,
            "RoleSessionName": SESSION,
            "DurationSeconds": str(ROLE_S),
        }
        if auth.external_id is not None:
            form["ExternalId"] = auth.external_id
        self._body = urlencode(form).encode()

    async def __call__(self, network: Upstream) -> Lent[Keys]:
        own = await self._own.get(network)
        request = signed(UpstreamRequest(self._endpoint, self._body), own, service="sts", region=self._region)
        reply = await network.call(request)
        body = await read_answer(reply)
        if reply.status >= 300:
            raise self._refusal(reply, body)
        return _keys_in(body)

    def _refusal(self, reply: Reply, body: bytes) -> UpstreamError:
        """In words of our own: what AWS says names who asked."""
        status = reply.status
        if status in (400, 401, 403):
            if _text(body, "Code") in ("ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch"):
                self._own.drop()
            return _refused("the gateway may not take on the role of the account")
        message = f"AWS was asked for the keys of a role and answered with status {status}"
        return Refused(message, status=status if status == 429 or status >= 500 else 502)


def sts_url(region: str) -> str:
    """Of a region, which also knows those that are not on by default."""
    return f"https://sts.{region}.{domain_of(region)}/"


def _keys_in(body: bytes) -> Lent[Keys]:
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
    key, secret, token, end = (_text(body, name) for name in names)
    try:
        left_s = datetime.fromisoformat(end).replace(tzinfo=UTC).timestamp() - time() if end else 0.0
    except ValueError:
        left_s = 0.0
    if not (key and secret and token and left_s > 0):
        raise BrokeOff("AWS was asked for the keys of a role and answered with something else")
    return Lent(Keys(Secret(key), Secret(secret), Secret(token)), left_s)


def _text(body: bytes, name: str) -> str:
    try:
        return (ET.fromstring(body).findtext(f".//{{*}}{name}") or "").strip()
    except ET.ParseError:
        return ""


def _refused(message: str) -> Refused:
    return Refused(f"{message}; tell whoever runs the gateway", status=401, code="upstream_authentication_error")
