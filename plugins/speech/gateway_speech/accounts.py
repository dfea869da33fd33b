"""What stands in the manifest.

Source: types of truefoundry-sdk 0.6.0; `voices` is this plugin's own.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.manifests.accounts import Integration, KeyAccount, Url

Version = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", description="a date such as 2025-04-16")]


class SpeechAccount(KeyAccount, frozen=True, kw_only=True):
    """
    Args:
        base_url: without the version; None: the vendor's own.
        voices: what callers say -> the vendor's own id, as in `{alloy: 21m00Tcm4TlvDq8ikWAM}`, for clients that know
            OpenAI's voices alone. Others are taken for the vendor's own.
    """

    integrations: tuple[Integration, ...] = ()
    base_url: Url | None = None
    voices: dict[str, str] = msgspec.field(default_factory=dict)


class CartesiaAccount(SpeechAccount, frozen=True, kw_only=True):
    """`cartesia_version`: of the API. The SDK knows three of them; all that came later are taken, too."""

    cartesia_version: Version
