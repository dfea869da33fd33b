"""Who signs the requests of an account.

What needs botocore is loaded by the first account that has to sign, when it is compiled: no request waits for it, and
nobody else pays.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from gateway_aws.accounts import AccessKeyAuth, KeysAuth
from gateway_aws.key_signer import KeySigner

if TYPE_CHECKING:
    from gateway_aws.identity import OwnIdentity


class Signers:
    """`own`: the gateway's own identity; None: as botocore finds it."""

    def __init__(self, own: "OwnIdentity | None" = None) -> None:
        self._own = own

    def of_account(self, auth: KeysAuth | None, service: str) -> Callable[[str], KeySigner]:
        """Region -> signer. Most models of an account share one."""
        from gateway_aws.identity import OwnIdentity, keys_for
        from gateway_aws.signing import SigV4

        own = self._own = self._own or OwnIdentity()
        is_renewed = not isinstance(auth, AccessKeyAuth)

        @cache
        def signer(region: str) -> KeySigner:
            return SigV4(keys_for(auth, region, own), service=service, region=region, is_renewed=is_renewed)

        return signer
