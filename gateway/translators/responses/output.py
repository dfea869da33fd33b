"""One item of a response's output while it is being made."""

from typing import Any

import msgspec

from gateway.translators.growing import Growing
from gateway.translators.responses.tools import Offered
from gateway.translators.said import NO_ARGUMENTS

_object = msgspec.json.Decoder(dict[str, Any])
CALLS = frozenset({"function_call", "custom_tool_call"})


class OutputItem:
    """`head`: what it is, before there is anything in it. `waiting`: (what, piece) that have not gone out."""

    __slots__ = ("_growing", "has_none", "head", "is_open", "kind", "parts", "said", "sealed", "waiting")

    def __init__(self, head: dict[str, Any]) -> None:
        self.head = head
        self.kind: str = head["type"]
        self.is_open = False
        self.waiting: list[tuple[str, Any]] = []
        self.said: list[str] = []
        """Of a call: its arguments, as JSON; of reasoning: its text; of a message: the text of the part under way."""
        self.has_none = False
        """Of a call: it was said that there are no arguments, or none yet."""
        self.parts: list[dict[str, Any]] = []
        """Of a message; the last one may be under way."""
        self.sealed: str | None = None
        self._growing = Growing()

    def argue(self, fragment: str) -> None:
        """More of the arguments of a call."""
        if not self.said and fragment.strip() in NO_ARGUMENTS:
            self.has_none = True
            return
        self.said.append(fragment)
        self.waiting.append(("arguments", fragment))
        self._growing.add(fragment)

    @property
    def is_whole(self) -> bool:
        """Whether nothing more of it can come."""
        if self.kind not in CALLS:
            return True
        if not self.said:
            return self.has_none
        return self._growing.may_be_whole(self.said[-1]) and self.arguments is not None

    @property
    def arguments(self) -> dict[str, Any] | None:
        """Decoded; None: they are no object."""
        try:
            return _object.decode("".join(self.said))
        except (msgspec.DecodeError, RecursionError):
            return None

    @property
    def text(self) -> str:
        return "".join(self.said)

    @property
    def input(self) -> str:
        """Of a call of a custom tool. A model that gives no object has given the text itself."""
        arguments = self.arguments
        if arguments is None:
            return self.text
        given = arguments.get("input", "")
        return given if isinstance(given, str) else msgspec.json.encode(given).decode()

    def close_part(self) -> dict[str, Any]:
        """The part under way, which is whole now."""
        part = self.parts[-1]
        part[TEXT_IN[part["type"]]] = "".join(self.said)
        self.said.clear()
        return part

    def as_it_is(self, status: str) -> dict[str, Any]:
        """When all of it has come."""
        item = {**self.head, "status": status}
        match self.kind:
            case "message":
                item["content"] = self.parts
            case "reasoning":
                item["summary"] = [{"type": "summary_text", "text": self.text}] if self.said else []
                if self.sealed is not None:
                    item["encrypted_content"] = self.sealed
            case "function_call":
                item["arguments"] = self.text
            case "custom_tool_call":
                item["input"] = self.input
        return item


TEXT_IN = {"output_text": "text", "refusal": "refusal"}
"""Type of a part -> the field with its text."""


def part_of(kind: str) -> dict[str, Any]:
    """Of a message, with nothing in it."""
    return (
        {"type": kind, "refusal": ""}
        if kind == "refusal"
        else {"type": kind, "text": "", "annotations": [], "logprobs": []}
    )


def call_head(id_: str, call_id: str, tool: Offered) -> dict[str, Any]:
    """`id_`: of the item, without what tells its type."""
    kind, prefix, what = (
        ("custom_tool_call", "ctc", "input") if tool.is_custom else ("function_call", "fc", "arguments")
    )
    head: dict[str, Any] = {"id": f"{prefix}{id_}", "type": kind, "call_id": call_id, "name": tool.name, what: ""}
    return {**head, "namespace": tool.namespace} if tool.namespace is not None else head
