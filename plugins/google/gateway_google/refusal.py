"""What Google's errors say beside their message.

Source: google/rpc/status.proto and error_details.proto of googleapis; ai.google.dev/gemini-api/docs/troubleshooting;
read 2026-11.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.wire.lenient import lenient_json

_DELAY = re.compile(r"(\d{1,6})(?:\.(\d{1,9}))?s")


class Status(msgspec.Struct, frozen=True):
    """
    Args:
        name: as in `RESOURCE_EXHAUSTED`; empty: it is none of Google's.
        is_bad_key: the key is not known.
        retry_after_s: when to ask again; None: not said.
    """

    name: str = ""
    is_bad_key: bool = False
    retry_after_s: int | None = None


def status_of(body: bytes) -> Status:
    try:
        said = lenient_json(body)
    except ValueError:
        return Status()
    if isinstance(said, list) and said:
        said = said[0]
    error = said.get("error") if isinstance(said, dict) else None
    if not isinstance(error, dict):
        return Status()
    name, details = error.get("status"), error.get("details")
    found = [each for each in details if isinstance(each, dict)] if isinstance(details, list) else []
    reasons = {each.get("reason") for each in found if isinstance(each.get("reason"), str)}
    return Status(
        name if isinstance(name, str) else "",
        "API_KEY_INVALID" in reasons or "API_KEY_EXPIRED" in reasons,
        next((seconds for each in found if (seconds := _seconds(each.get("retryDelay"))) is not None), None),
    )


def waits_of(status: Status) -> Mapping[str, str]:
    return {"retry-after": str(status.retry_after_s)} if status.retry_after_s is not None else {}


def _seconds(delay: Any) -> int | None:
    """Of a duration such as `31.5s`, rounded up: asked before, it would refuse again."""
    match = _DELAY.fullmatch(delay) if isinstance(delay, str) else None
    return int(match[1]) + bool(int(match[2] or 0)) if match is not None else None
