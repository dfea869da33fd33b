"""The messages of a chat as turns: a user's and the model's, one after the other, and what is said to the system.

Source: platform.claude.com/docs/en/api/messages, /agents-and-tools/tool-use/handle-tool-calls, /build-with-claude/
thinking and /mid-conversation-system-messages, read 2026-11.
"""

import re
from typing import Any

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest, Message, Part
from gateway_anthropic.content import Block, blocks_of, texts_of
from gateway_anthropic.flavour import Flavour

_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")


class Turns:
    """
    Args:
        has_later_system: a system message that comes right behind a user's stays there; all others go to the front.
    """

    def __init__(self, request: ChatRequest, flavour: Flavour, *, has_later_system: bool) -> None:
        self.system: list[Block] = []
        self.messages: list[Block] = []
        self._request = request
        self._flavour = flavour
        self._results: list[Block] = []
        """Of the last turn, in front of which they will stand."""
        for message, following in zip(request.messages, _following(request.messages), strict=True):
            if message.name is not None:
                request.drop("messages.name")
            if message.audio is not None:
                request.drop("messages.audio")
            if message.images:
                request.drop("messages.images")
            if message.is_system:
                stays = has_later_system and self._may_stay(following)
                self._system(message, stays=stays)
            elif message.role == "assistant":
                self._add("assistant", self._assistant(message))
            elif message.role == "tool":
                self._result(message)
            else:
                self._add("user", _marked(blocks_of(message.parts, request, flavour), message))
        self._end_turn()
        if not self.messages:
            raise BadRequest("there must be a message that is not empty, and not the system's", param="messages")
        self._trim_end()

    def _may_stay(self, following: str | None) -> bool:
        """It stands between a user's turn and the model's, or at the end."""
        is_behind_user = bool(self.messages) and self.messages[-1]["role"] in ("user", "system")
        return is_behind_user and following in (None, "assistant")

    def _system(self, message: Message, *, stays: bool) -> None:
        blocks = _marked(texts_of(message.parts, "system"), message)
        if stays:
            self._add("system", blocks)
        else:
            self.system += blocks

    def _add(self, role: str, blocks: list[Block]) -> None:
        """Turns of the same role, one behind the other, are one."""
        if blocks:
            self._turn_of(role)["content"] += blocks

    def _turn_of(self, role: str) -> Block:
        """The last turn, if it is of that role, or else a new one."""
        if not self.messages or self.messages[-1]["role"] != role:
            self._end_turn()
            self.messages.append({"role": role, "content": []})
        return self.messages[-1]

    def _end_turn(self) -> None:
        if self._results:
            self.messages[-1]["content"][:0] = self._results
            self._results = []

    def _result(self, message: Message) -> None:
        """All results of one turn stand in one turn, before anything else."""
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": id_of(message.tool_call_id or "")}
        content = blocks_of(message.parts, self._request, self._flavour)
        if content:
            if (marker := content[-1].pop("cache_control", None)) is not None:
                block["cache_control"] = marker
            is_plain = len(content) == 1 and content[0].keys() == {"type", "text"}
            block["content"] = content[0]["text"] if is_plain else content
        if message.is_error:
            block["is_error"] = True
        if message.cache_control is not None:
            block["cache_control"] = message.cache_control
        self._turn_of("user")
        self._results.append(block)

    def _assistant(self, message: Message) -> list[Block]:
        blocks = self._thinking(message.thoughts)
        if not blocks and (message.reasoning_content or message.reasoning):
            self._request.drop("messages.reasoning_content")  # without its signature it is refused
        blocks += texts_of(message.said, "assistant")
        for call in message.tool_calls or ():
            given = call.function.input
            blocks.append(
                {
                    "type": "tool_use",
                    "id": id_of(call.id),
                    "name": call.function.name,
                    # As fine-grained-tool-streaming of Anthropic's documentation says.
                    "input": given if given is not None else {"INVALID_JSON": call.function.arguments},
                }
            )
        return _marked(blocks, message)

    def _thinking(self, blocks: list[Part]) -> list[Block]:
        """As they came, with their signatures; without those of other vendors, who put a name and a colon in front."""
        kept: list[Block] = []
        for block in blocks:
            if block.type == "redacted_thinking" and block.data:
                kept.append({"type": "redacted_thinking", "data": block.data})
            elif block.type == "thinking" and block.signature and ":" not in block.signature:
                kept.append({"type": "thinking", "thinking": block.thinking or "", "signature": block.signature})
            else:
                self._request.drop("messages.thinking_blocks")
        return kept

    def _trim_end(self) -> None:
        """Refused: "final assistant content cannot end with trailing whitespace"."""
        last = self.messages[-1]
        if last["role"] == "assistant" and last["content"][-1]["type"] == "text":
            last["content"][-1]["text"] = last["content"][-1]["text"].rstrip()


def _following(messages: list[Message]) -> list[str | None]:
    """For each message, who speaks next that is not the system."""
    found: list[str | None] = []
    role = None
    for message in reversed(messages):
        found.append(role)
        if not message.is_system:
            role = message.role
    return found[::-1]


def id_of(given: str) -> str:
    """Ids of other vendors' calls may hold what is refused here; a call and its result are changed alike."""
    return _NOT_IN_IDS.sub("_", given)


def _marked(blocks: list[Block], message: Message) -> list[Block]:
    if message.cache_control is not None and blocks and blocks[-1]["type"] not in ("thinking", "redacted_thinking"):
        blocks[-1]["cache_control"] = message.cache_control
    return blocks
