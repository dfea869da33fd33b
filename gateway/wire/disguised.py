"""Names of fields that are written otherwise than here, and read all the same: servers in Go do not mind whether
letters are large, so that `Model` stands for `model`, and the last of them counts.

Source: pkg.go.dev/encoding/json, "Unmarshal": "accepting case-insensitive matches", by Unicode's folding; read 2026-11.
"""

from collections.abc import Collection, Iterable
from typing import Any

from gateway.wire.wording import ASKED, UNSAID

DECIDING = frozenset(
    {
        *(*ASKED, *UNSAID, "tools", "functions", "tool_choice", "n", "best_of", "background", "store", "truncate"),
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "max_num_results", "max_tool_calls"),
    }
)
"""Of a request: what the gateway goes by."""
SAID = frozenset({"role", "type", "content", "parts", "text", "name", "output", "arguments", "refusal", "tool_calls"})
"""Of a message, and of its parts."""


def disguised(names: Collection[str], known: Collection[str] = DECIDING) -> str | None:
    """The first that another server takes for one that is known, or for another of them, as it is known; None: none."""
    for name in names:
        plain = name.casefold()
        if plain != name and (plain in known or plain in names):
            return plain
    return None


def disguised_in(messages: Any) -> str | None:
    """The same of what is said: messages, and the parts that they consist of."""
    left = [messages]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if (name := disguised(value, SAID)) is not None:
                return name
            left += _parts(value.get(key) for key in ("content", "parts", "output"))
        elif isinstance(value, list):
            left += _parts(value)
    return None


def _parts(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, dict | list)]
