"""A response for which no model is asked: over WebSockets, what is said may be sent ahead of the turn that needs it.

Source: developers.openai.com/api/docs/guides/websocket-mode (`generate: false`), read 2026-11.
"""

from os import urandom
from time import time
from typing import Any

import msgspec

from gateway.contract import Call
from gateway.translators.responses.response import response_to, usage_fields


def prepared(call: Call) -> tuple[str, list[bytes]]:
    """Its id, and the data of its events."""
    at = int(time())
    begun = response_to(call, urandom(16).hex(), at)
    ended = {**begun, "status": "completed", "completed_at": at, "usage": usage_fields(None)}
    told: list[tuple[str, dict[str, Any]]] = [
        ("response.created", begun),
        ("response.in_progress", begun),
        ("response.completed", ended),
    ]
    events = [
        msgspec.json.encode({"type": type_, "sequence_number": number, "response": response})
        for number, (type_, response) in enumerate(told)
    ]
    return str(begun["id"]), events
