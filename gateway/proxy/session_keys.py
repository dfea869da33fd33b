"""Short-lived keys for realtime sessions, which a server hands to a page or a phone.

A provider's own would open sessions at the provider, unseen by limits, budgets and the log. So callers get one of the
gateway's in its place, which opens sessions here and nothing else. All that it stands for is sealed in it, the
provider's own included: no database is asked, and each replica with the same pepper can open it.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import blake2b
from time import time

import msgspec

from gateway.contract import Caller, Choice
from gateway.contract.route import Candidate, Retry, Route, RouteTarget
from gateway.errors import Forbidden
from gateway.secrecy.sealing import Seal
from gateway.secrecy.secret import Secret

PREFIX = b"ek_gw"
LONGEST_S = 7200.0
"""Source: openai-python 3.57 (types/realtime/client_secret_create_params.py), read 2026-11."""
MAX_BYTES = 4096


class SessionKey(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        caller: who has asked for it; whether he may still do so is asked when it is used.
        model: `account/model` that has given the provider's key, and opens sessions with it.
        asked: what the caller called it.
        provider_key: the provider's own.
        transcribes: sessions write down what they hear, and do nothing else.
        expires_at: seconds since 1970; a session that was opened before goes on.
    """

    caller: Caller
    model: str
    asked: str
    provider_key: Secret
    expires_at: float
    transcribes: bool = False
    metadata: Mapping[str, str] = {}

    @property
    def authorization(self) -> Secret:
        """The header for the provider."""
        return Secret(f"Bearer {self.provider_key.reveal()}")


class _Sealed(msgspec.Struct, array_like=True):
    caller: Caller
    model: str
    asked: str
    provider_key: str
    expires_at: float
    transcribes: bool
    metadata: dict[str, str]


_sealed = msgspec.msgpack.Decoder(_Sealed)


class SessionKeys:
    """Makes and opens them.

    Args:
        pepper: the same on all replicas; empty: none is known, and each process opens its own alone.
    """

    def __init__(self, pepper: bytes, *, clock: Callable[[], float] = time) -> None:
        self._seal = Seal(blake2b(pepper or os.urandom(32), person=b"gateway-session").digest())
        self._clock = clock

    def close(self, key: SessionKey) -> str:
        """As callers get it: of letters that may stand in a header, also as a subprotocol."""
        at = min(key.expires_at, self._clock() + LONGEST_S)
        fields = (key.caller, key.model, key.asked, key.provider_key.reveal(), at, key.transcribes, {**key.metadata})
        data = self._seal.close_data(msgspec.msgpack.encode(_Sealed(*fields)))
        return PREFIX.decode() + urlsafe_b64encode(data).decode().rstrip("=")

    def open(self, text: bytes) -> SessionKey | None:
        """None: it is none of ours, or its time is over."""
        body = text.removeprefix(PREFIX)
        try:
            data = self._seal.open_data(urlsafe_b64decode(body + b"=" * (-len(body) % 4)))
            told = _sealed.decode(data)
        except (ValueError, msgspec.DecodeError):
            return None
        if told.expires_at <= self._clock():
            return None
        return SessionKey(
            caller=told.caller,
            model=told.model,
            asked=told.asked,
            provider_key=Secret(told.provider_key),
            expires_at=told.expires_at,
            transcribes=told.transcribes,
            metadata=told.metadata,
        )


def with_key(choice: Choice, key: SessionKey) -> Choice:
    """The model that the key is of, asked with the provider's key in place of the account's.

    Raises:
        Forbidden: what the caller asked for does not lead there any more.
    """
    target = next((each for each in choice.targets if each.name == key.model), None)
    if target is None:
        raise Forbidden(f"this key opens sessions with {key.asked}, which leads elsewhere now; make another one")
    headers = {"authorization": key.authorization.reveal()}
    only = Candidate(
        name=target.name,
        account=target.account,
        retry=Retry(1),
        route_target=RouteTarget(target, set_headers=headers, remove_headers=frozenset({"api-key"})),
    )
    return Choice(target, Route(target.name, "only", (only,)))
