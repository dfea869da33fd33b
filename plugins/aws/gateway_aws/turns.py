"""The messages of a chat as turns of a user and the model, one after the other, and what is said to the system.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html and API_runtime_ToolResultBlock.html,
.../userguide/tool-use-inference-call.html; read 2026-11.
"""

import re
from hashlib import sha256
from typing import Any

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest, Message, Part
from gateway_aws.content import EMPTY, Block, Blocks
from gateway_aws.models import Traits

MAX_ID = 64

_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_.:-]")


class Turns:
    """`called`: the names of all tools that were called before, in the order of their first calls."""

    def __init__(self, request: ChatRequest, traits: Traits) -> None:
        self.system: list[Block] = []
        self.messages: list[Block] = []
        self.called: dict[str, None] = {}
        self._request = request
        self._traits = traits
        self._blocks = Blocks(request, traits)
        self._results: list[Block] = []
        """Of the last turn, in front of which they will stand."""
        for message in request.messages:
            if message.name is not None:
                request.drop("messages.name")
            if message.audio is not None:
                request.drop("messages.audio")
            if message.images:
                request.drop("messages.images")
            point = self._blocks.cache_point(message.cache_control)
            if message.is_system:
                said = self._blocks.texts_of(message.parts, "system")
                self.system += [*said, *point] if said else []
            elif message.role == "tool":
                self._result(message, point)
            else:
                self._add(message.role, self._said(message), point)
        self._end_turn()
        if not self.messages:
            raise BadRequest("there must be a message that is not empty, and not the system's", param="messages")
        if self.messages[0]["role"] == "assistant":  # a conversation must start with a user message
            self.messages.insert(0, {"role": "user", "content": [{"text": EMPTY}]})
        self._trim_end()

    def _said(self, message: Message) -> list[Block]:
        return self._assistant(message) if message.role == "assistant" else self._blocks.of(message.parts)

    def _add(self, role: str, blocks: list[Block], point: list[Block]) -> None:
        """Turns of the same role, one behind the other, are one; an empty one is none."""
        if blocks:
            self._turn_of(role)["content"] += [*blocks, *point]

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

    def _result(self, message: Message, point: list[Block]) -> None:
        """All results of one turn stand in one turn, before anything else."""
        content = self._blocks.of(message.parts)
        points = [block for block in content if "cachePoint" in block]  # which a result cannot hold
        inside = [block for block in content if "cachePoint" not in block]
        result: dict[str, Any] = {
            "toolUseId": id_of(message.tool_call_id or ""),
            "content": inside or [{"text": EMPTY}],
        }
        if message.is_error:
            result["status"] = "error"
        self._turn_of("user")
        self._results += [{"toolResult": result}, *(points or point)[-1:]]

    def _assistant(self, message: Message) -> list[Block]:
        blocks = self._thinking(message.thoughts)
        if not blocks and (message.reasoning_content or message.reasoning):
            self._request.drop("messages.reasoning_content")  # without its signature it is refused
        blocks += self._blocks.texts_of(message.said, "assistant")
        for call in message.tool_calls or ():
            name, given = call.function.name, call.function.input
            self.called[name] = None
            # What is no object cannot be said; Anthropic's documentation of fine-grained tool streaming says it so.
            arguments = given if given is not None else {"INVALID_JSON": call.function.arguments}
            blocks.append({"toolUse": {"toolUseId": id_of(call.id), "name": name, "input": arguments}})
        return blocks

    def _thinking(self, blocks: list[Part]) -> list[Block]:
        """As they came, with their signatures, which only Claude gives; without those of other vendors, who put a name
        and a colon in front."""
        kept: list[Block] = []
        for block in blocks:
            if self._traits.family not in ("anthropic", ""):
                self._request.drop("messages.thinking_blocks")
            elif block.type == "redacted_thinking" and block.data:
                kept.append({"reasoningContent": {"redactedContent": block.data}})
            elif block.type == "thinking" and block.signature and ":" not in block.signature:
                text = {"text": block.thinking or "", "signature": block.signature}
                kept.append({"reasoningContent": {"reasoningText": text}})
            else:
                self._request.drop("messages.thinking_blocks")
        return kept

    def _trim_end(self) -> None:
        """Refused: "final assistant content cannot end with trailing whitespace"."""
        last = self.messages[-1]
        if last["role"] == "assistant" and "text" in last["content"][-1]:
            last["content"][-1]["text"] = last["content"][-1]["text"].rstrip()


def id_of(given: str) -> str:
    """Ids of other vendors' calls may be longer, or hold what is refused here; a call and its result are changed
    alike."""
    if len(given) > MAX_ID:
        return f"{_NOT_IN_IDS.sub('_', given[:31])}_{sha256(given.encode()).hexdigest()[:32]}"
    return _NOT_IN_IDS.sub("_", given) or "_"
