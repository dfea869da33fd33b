"""Access tokens of Google: for a key file, for another platform's token, or for the machine that the gateway runs on.

google-auth knows how to ask for them, and waits while it does, so it runs in a thread. What it asks for goes out by the
gateway's own network, where the rules for addresses hold; but for the machine's own identity, which is at link-local
addresses that those rules never allow, and where nothing that an account says decides where it goes.

A file for workload identity federation says itself what is read on this machine and where that is sent to, so it is
held to tokens in files and at URLs, and to Google's own services.

Source: google/auth/_default.py, identity_pool.py, external_account.py and oauth2/service_account.py of google-auth
2.63.0; docs.cloud.google.com/docs/authentication/external/externally-sourced-credentials; read 2026-11.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import google.auth
import msgspec
from google.auth import exceptions, identity_pool
from google.auth.credentials import Credentials
from google.auth.transport.requests import Request as OwnNetwork
from google.oauth2 import credentials as user_credentials
from google.oauth2 import service_account

from gateway.contract import Upstream
from gateway.errors import Refused, UpstreamError
from gateway.providers.credentials import BearerTokens, Fetch, Lent
from gateway.secrecy.secret import Secret
from gateway_google.accounts import FederationAuth, KeyFileAuth
from gateway_google.network import Bridge

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)

_GOOGLES = re.compile(r"(?:[a-z0-9-]+\.)+googleapis\.com")
_IMPERSONATION = re.compile(r"iamcredentials(?:\.[a-z0-9-]+)*\.googleapis\.com")
_STS = re.compile(r"sts(?:\.[a-z0-9-]+)*\.googleapis\.com")


def tokens_for(
    url: str,
    auth: KeyFileAuth | FederationAuth | None,
    *,
    own: Callable[[], Credentials] | None = None,
    clock: Callable[[], float] = perf_counter,
) -> BearerTokens:
    """Tokens for models at a URL.

    Args:
        auth: None: the gateway's own identity.
        own: how that is found; None: by google-auth.

    Raises:
        ValueError: it cannot be used; worded for the operator.
    """
    if not isinstance(auth, KeyFileAuth) and not _is_at(url, _GOOGLES):
        raise ValueError(
            "the gateway's own identity, and what its machine is known by, go to Google's own addresses only "
            "(*.googleapis.com): whoever writes an account could have them sent elsewhere. Use a key-file"
        )
    if auth is None:
        return BearerTokens(_of_machine(own or _default), clock=clock)
    info = _document(auth.key_file_content)
    credentials = _of_key(info) if isinstance(auth, KeyFileAuth) else _of_federation(info)
    return BearerTokens(_by_network(credentials), clock=clock)


def quota_project_of(auth: KeyFileAuth | FederationAuth | None) -> str | None:
    """Who pays, where the file names another project than its own. Raises ValueError, as above."""
    named = _document(auth.key_file_content).get("quota_project_id") if auth is not None else None
    return named if isinstance(named, str) and named else None


def _document(content: Secret) -> dict[str, Any]:
    try:
        return msgspec.json.decode(content.reveal(), type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("key_file_content must be the JSON of a key file, or what stands in it") from None


def _of_key(info: dict[str, Any]) -> Credentials:
    kind = info.get("type")
    try:
        if kind == "service_account":
            return service_account.Credentials.from_service_account_info(info, scopes=SCOPES)  # type: ignore[no-untyped-call, no-any-return]
        if kind == "authorized_user":
            return user_credentials.Credentials.from_authorized_user_info(info, scopes=SCOPES)  # type: ignore[no-untyped-call, no-any-return]
    except (ValueError, TypeError, exceptions.GoogleAuthError):  # whose message may repeat what is secret
        raise ValueError(f"key_file_content is no usable key file of the type {kind}") from None
    raise ValueError(
        "key_file_content of a key-file must have the type service_account or authorized_user"
        + ("; for external_account there is workload-identity-federation-file" if kind == "external_account" else "")
    )


def _of_federation(info: dict[str, Any]) -> Credentials:
    if info.get("type") != "external_account":
        raise ValueError("key_file_content of a workload-identity-federation-file must have the type external_account")
    source = info.get("credential_source")
    if not isinstance(source, Mapping) or not source.keys() & {"file", "url"} or "environment_id" in source:
        raise ValueError(
            "credential_source must name a file or a url: no programs are run, and AWS's own credentials and "
            "certificates are not read"
        )
    if not _is_at(str(info.get("token_url")), _STS):
        raise ValueError("token_url must be Google's, https://sts.googleapis.com/v1/token")
    impersonation = info.get("service_account_impersonation_url")
    if impersonation is not None and not _is_at(str(impersonation), _IMPERSONATION):
        raise ValueError("service_account_impersonation_url must be one of https://iamcredentials.googleapis.com")
    try:
        return identity_pool.Credentials.from_info(info, scopes=SCOPES)  # type: ignore[no-untyped-call, no-any-return]
    except (ValueError, TypeError, KeyError, exceptions.GoogleAuthError):
        raise ValueError("key_file_content is no usable file for workload identity federation") from None


def _is_at(url: str, host: "re.Pattern[str]") -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" and host.fullmatch((parts.hostname or "").lower()) is not None


def _by_network(credentials: Credentials) -> Fetch[Secret]:
    async def fetch(network: Upstream) -> Lent[Secret]:
        bridge = Bridge(network, asyncio.get_running_loop())
        return await asyncio.to_thread(_refreshed, lambda: credentials, bridge)

    return fetch


def _of_machine(find: Callable[[], Credentials]) -> Fetch[Secret]:
    find = cache(find)  # it looks for the machine's metadata server, which takes a while

    async def fetch(network: Upstream) -> Lent[Secret]:
        return await asyncio.to_thread(_refreshed, find, OwnNetwork())

    return fetch


def _default() -> Credentials:
    found: Credentials = google.auth.default(scopes=SCOPES)[0]
    return found


def _refreshed(find: Callable[[], Credentials], network: Any) -> Lent[Secret]:
    """In a thread. Raises UpstreamError, in words of our own: what Google says may repeat what was sent."""
    try:
        credentials = find()
        credentials.refresh(network)  # type: ignore[no-untyped-call]
    except UpstreamError:
        raise
    except (
        exceptions.GoogleAuthError,
        ValueError,
        TypeError,
        LookupError,
        OSError,
    ) as error:  # google-auth checks little
        is_final = not getattr(error, "retryable", False)
        raise Refused(
            "Google gives no access token for the account's credentials; tell whoever runs the gateway",
            status=401 if is_final else 503,
            code="upstream_authentication_error" if is_final else None,
        ) from error
    ends = credentials.expiry
    lasts_s = (ends.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds() if ends is not None else 300.0
    return Lent(Secret(str(credentials.token)), lasts_s)
