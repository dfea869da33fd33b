"""Writing a message as a stream of events.

Source: platform.claude.com/docs/en/build-with-claude/streaming, read 2026-11.
"""

from collections import deque
from typing import Any

import msgspec

from gateway.contract.usage import Usage
from gateway.translators.growing import Growing
from gateway.translators.messages.sealed import UNSIGNED
from gateway.translators.messages.words import usage_fields
from gateway.translators.said import NO_ARGUMENTS

_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_TEXT = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":%b}}\n\n'
)
_PING = b'event: ping\ndata: {"type":"ping"}\n\n'


class _Block:
    """One block. `waiting`: pieces that have not gone out."""

    __slots__ = ("_growing", "has_none", "head", "is_open", "is_signed", "kind", "said", "waiting")

    def __init__(self, head: dict[str, Any]) -> None:
        self.head = head
        self.kind: str = head["type"]
        self.is_open = False
        self.is_signed = False
        self.said: list[str] = []
        """Of a call: its arguments so far."""
        self.has_none = False
        """It was said that there are no arguments, or none yet."""
        self.waiting: list[bytes] = []
        self._growing = Growing()

    def argue(self, fragment: str) -> None:
        """More of the arguments of a call."""
        if not self.said and fragment.strip() in NO_ARGUMENTS:
            self.has_none = True
            return
        self.said.append(fragment)
        self.waiting.append(b'{"type":"input_json_delta","partial_json":%b}' % _encode(fragment))
        self._growing.add(fragment)

    @property
    def is_whole(self) -> bool:
        """Whether nothing more of it can come."""
        if self.kind != "tool_use":
            return True
        if not self.said:
            return self.has_none
        if not self._growing.may_be_whole(self.said[-1]):
            return False
        try:
            _object.decode("".join(self.said))
        except (msgspec.DecodeError, RecursionError):
            return False
        return True


class MessageEvents:
    """Each method gives the bytes of the events that can go out, or of none.

    The message starts once; blocks do not overlap, their indexes rise, and each is stopped before the next starts.
    There is one `message_delta`, with all usage, and one `message_stop` behind it. Pieces of a call that come early,
    because several are made at once, are kept until theirs is the block that is open.
    """

    def __init__(self) -> None:
        self.has_started = False
        self._is_over = False
        self._index = 0
        self._blocks: deque[_Block] = deque()
        self._calls: dict[int, _Block] = {}

    @property
    def has_calls(self) -> bool:
        return bool(self._calls)

    def start(self, id_: str, model: str) -> bytes:
        self.has_started = True
        message: dict[str, Any] = {
            "id": id_,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_fields(None),  # which is told at the end
        }
        return _event("message_start", {"message": message}) + _PING

    def text(self, text: str) -> bytes:
        blocks = self._blocks
        if len(blocks) == 1 and blocks[0].kind == "text" and blocks[0].is_open:  # as nearly always
            return _TEXT % (self._index, _encode(text))
        self._last("text", {"text": ""}).waiting.append(b'{"type":"text_delta","text":%b}' % _encode(text))
        return self._flow()

    def citation(self, citation: dict[str, Any]) -> bytes:
        """Of the text that came before; nothing, if that is not the last that came."""
        if not self._blocks or self._blocks[-1].kind != "text":
            return b""
        self._blocks[-1].waiting.append(_encode({"type": "citations_delta", "citation": citation}))
        return self._flow()

    def thinking(self, text: str) -> bytes:
        block = self._blocks[-1] if self._blocks else None
        if block is not None and block.is_signed:
            block = self._open({"type": "thinking", "thinking": "", "signature": ""})
        else:
            block = self._last("thinking", {"thinking": "", "signature": ""})
        block.waiting.append(b'{"type":"thinking_delta","thinking":%b}' % _encode(text))
        return self._flow()

    def signature(self, thinking: str, signature: str) -> bytes:
        """Of the thinking that came before; `thinking`: what was thought, if nothing of it came."""
        block = self._blocks[-1] if self._blocks else None
        out = b""
        if block is None or block.kind != "thinking" or block.is_signed:
            out = self.thinking(thinking)
            block = self._blocks[-1]
        self._sign(block, signature)
        return out + self._flow()

    def redacted_thinking(self, data: str) -> bytes:
        self._open({"type": "redacted_thinking", "data": data})
        return self._flow()

    def tool_use(self, index: int, id_: str, name: str) -> bytes:
        """A call begins. `index`: among the calls."""
        self._calls[index] = self._open({"type": "tool_use", "id": id_, "name": name, "input": {}})
        return self._flow()

    def input(self, index: int, fragment: str) -> bytes:
        """More of the input of a call that has begun."""
        self._calls[index].argue(fragment)
        return self._flow()

    def end(self, stop: str, stop_sequence: str | None, usage: Usage | None) -> bytes:
        if self._is_over:
            return b""
        self._is_over = True
        rest = self._flow(is_all=True)
        delta = {"stop_reason": stop, "stop_sequence": stop_sequence}
        return b"%b%b%b" % (rest, _event("message_delta", {"delta": delta, "usage": usage_fields(usage)}), _STOP)

    def _last(self, kind: str, empty: dict[str, Any]) -> _Block:
        """The block that came last, if it is of this kind, or a new one."""
        if self._blocks and self._blocks[-1].kind == kind:
            return self._blocks[-1]
        return self._open({"type": kind, **empty})

    def _open(self, head: dict[str, Any]) -> _Block:
        block = _Block(head)
        self._blocks.append(block)
        return block

    def _sign(self, block: _Block, signature: str) -> None:
        block.is_signed = True
        block.waiting.append(_encode({"type": "signature_delta", "signature": signature}))

    def _flow(self, *, is_all: bool = False) -> bytes:
        """What can go out: blocks one after the other, up to the first to which more may come."""
        out: list[bytes] = []
        while self._blocks:
            block = self._blocks[0]
            is_done = is_all or (len(self._blocks) > 1 and block.is_whole)
            if is_done and block.kind == "thinking" and not block.is_signed:
                self._sign(block, UNSIGNED)
            if not block.is_open:
                block.is_open = True
                out.append(_event("content_block_start", {"index": self._index, "content_block": block.head}))
            out += map(self._delta, block.waiting)
            block.waiting.clear()
            if not is_done:
                break
            out.append(b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % self._index)
            self._index += 1
            self._blocks.popleft()
        return b"".join(out)

    def _delta(self, delta: bytes) -> bytes:
        return b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b}\n\n' % (
            self._index,
            delta,
        )


def _event(kind: str, fields: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode({"type": kind, **fields}))
