"""Writing a response as a stream of events.

Source: platform.openai.com/docs/api-reference/responses-streaming, types/responses of openai-python 3.57; the order, as
measured with llmock; read 2026-11.
"""

from collections import deque
from typing import Any

import msgspec

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, GatewayError
from gateway.translators.responses.output import CALLS, TEXT_IN, OutputItem, call_head, part_of
from gateway.translators.responses.response import usage_fields
from gateway.translators.responses.tools import Offered
from gateway.wire.responses import error_fields, failed_event

MAX_CHARS = 16 * 1024 * 1024
"""Of all that a response holds: it is told once more at its end."""

_encode = msgspec.json.Encoder().encode
_TEXT = (
    b"event: response.output_text.delta\n"
    b'data: {"type":"response.output_text.delta","sequence_number":%d,"item_id":%b,"output_index":%d,'
    b'"content_index":%d,"delta":%b,"logprobs":[]}\n\n'
)


class ResponseEvents:
    """Each method gives the bytes of the events that can go out, or of none.

    The response is created once; items do not overlap, their indexes rise, and each is done before the next is added;
    so are the parts of a message. Numbers of events rise by one. There is one last event. Pieces of a call that come
    early, because several are made at once, are kept until it is the one that is open.

    Args:
        response: as it begins; its ids are made from its own.
    """

    def __init__(self, response: dict[str, Any]) -> None:
        self.response = response
        self.has_started = False
        self.is_over = False
        self._hexadecimal = str(response["id"]).removeprefix("resp")
        self._number = 0
        self._index = 0
        self._made = 0
        self._size = 0
        self._items: deque[OutputItem] = deque()
        self._calls: dict[int, OutputItem] = {}

    def start(self) -> bytes:
        if self.has_started:
            return b""
        self.has_started = True
        told = {"response": self.response}
        return self._event("response.created", told) + self._event("response.in_progress", told)

    def text(self, text: str) -> bytes:
        return self._say("output_text", text)

    def refusal(self, text: str) -> bytes:
        return self._say("refusal", text)

    def annotation(self, annotation: dict[str, Any]) -> bytes:
        """Of the text that came before; nothing, if that is not the last that came."""
        if not self._items or self._items[-1].kind != "message":
            return b""
        self._items[-1].waiting.append(("annotation", annotation))
        return self._flow()

    def reasoning(self, text: str) -> bytes:
        item = self._items[-1] if self._items else None
        if item is None or item.kind != "reasoning" or item.sealed is not None:
            item = self._open({"id": f"rs{self._next_id()}", "type": "reasoning", "summary": []})
        self._grow(text)
        item.waiting.append(("reasoning", text))
        return self._flow()

    def seal(self, sealed: str) -> bytes:
        """What has to come back with the reasoning before, or alone where there was none."""
        item = self._items[-1] if self._items else None
        if item is None or item.kind != "reasoning" or item.sealed is not None:
            item = self._open({"id": f"rs{self._next_id()}", "type": "reasoning", "summary": []})
        item.sealed = sealed
        return self._flow()

    def call(self, index: int, call_id: str, tool: Offered) -> bytes:
        """A call begins. `index`: among the calls."""
        self._calls[index] = self._open(call_head(self._next_id(), call_id, tool))
        return self._flow()

    def arguments(self, index: int, fragment: str) -> bytes:
        """More of the arguments of a call that has begun."""
        self._grow(fragment)
        self._calls[index].argue(fragment)
        return self._flow()

    def image(self, data: str) -> bytes:
        """A picture that was made, in base64."""
        self._grow(data)
        self._open({"id": f"ig{self._next_id()}", "type": "image_generation_call", "result": data})
        return self._flow()

    def end(self, usage: Usage | None, *, cut_by: str | None, completed_at: int) -> bytes:
        """
        Args:
            cut_by: why there is no more of it: `max_output_tokens` or `content_filter`; None: it is all.
            completed_at: seconds since 1970.
        """
        if self.is_over:
            return b""
        status = "completed" if cut_by is None else "incomplete"
        rest = self._flow(is_all=True, last_status=status)
        self.response |= {"status": status, "usage": usage_fields(usage)}
        if cut_by is None:
            self.response["completed_at"] = completed_at
        else:
            self.response["incomplete_details"] = {"reason": cut_by}
        self.is_over = True
        return rest + self._event(f"response.{status}", {"response": self.response})

    def fail(self, error: GatewayError, usage: Usage | None) -> bytes:
        """In place of the end."""
        if self.is_over:
            return b""
        begun = self.start()
        self.is_over = True
        self.response |= {"status": "failed", "error": error_fields(error)}
        if usage is not None:
            self.response["usage"] = usage_fields(usage)
        return begun + failed_event(self._number, self.response)

    def _say(self, kind: str, text: str) -> bytes:
        self._grow(text)
        items = self._items
        if (
            len(items) == 1
            and (item := items[0]).is_open
            and item.parts
            and item.parts[-1]["type"] == kind == "output_text"
        ):
            item.said.append(text)  # as nearly always
            place = (_encode(item.head["id"]), self._index, len(item.parts) - 1)
            self._number += 1
            return _TEXT % (self._number - 1, *place, _encode(text))
        if not items or items[-1].kind != "message":
            self._open({"id": f"msg{self._next_id()}", "type": "message", "role": "assistant", "content": []})
        items[-1].waiting.append((kind, text))
        return self._flow()

    def _grow(self, text: str) -> None:
        self._size += len(text)
        if self._size > MAX_CHARS:
            raise BrokeOff(f"the provider's answer has over {MAX_CHARS:,} characters, too many to be translated")

    def _next_id(self) -> str:
        self._made += 1
        return f"{self._hexadecimal}_{self._made - 1}"

    def _open(self, head: dict[str, Any]) -> OutputItem:
        item = OutputItem(head)
        self._items.append(item)
        return item

    def _flow(self, *, is_all: bool = False, last_status: str = "completed") -> bytes:
        """What can go out: items one after the other, up to the first to which more may come."""
        out: list[bytes] = []
        while self._items:
            item = self._items[0]
            is_last = len(self._items) == 1
            is_done = is_all or (not is_last and item.is_whole)
            if not item.is_open:
                item.is_open = True
                out.append(self._about("response.output_item.added", item=item.as_it_is("in_progress")))
            for what, piece in item.waiting:
                out += self._piece(item, what, piece)
            item.waiting.clear()
            if not is_done:
                break
            out += self._done(item, last_status if is_last else "completed")
            self._items.popleft()
            self._index += 1
        return b"".join(out)

    def _piece(self, item: OutputItem, what: str, piece: Any) -> list[bytes]:
        place = {"item_id": item.head["id"]}
        match what:
            case "arguments" if item.kind == "function_call":
                return [self._about("response.function_call_arguments.delta", **place, delta=piece)]
            case "reasoning":
                begun = []
                if not item.said:
                    part = {"type": "summary_text", "text": ""}
                    begun = [self._about("response.reasoning_summary_part.added", **place, summary_index=0, part=part)]
                item.said.append(piece)
                delta = self._about("response.reasoning_summary_text.delta", **place, summary_index=0, delta=piece)
                return [*begun, delta]
            case "annotation":
                return self._annotated(item, piece)
            case "output_text" | "refusal":
                return [*self._part(item, what), self._delta(item, what, piece)]
        return []  # of a custom tool: its text is known when all of the JSON around it is

    def _annotated(self, item: OutputItem, annotation: dict[str, Any]) -> list[bytes]:
        part = item.parts[-1] if item.parts else part_of("refusal")
        if part["type"] != "output_text":
            return []
        part["annotations"].append(annotation)
        where = {"content_index": len(item.parts) - 1, "annotation_index": len(part["annotations"]) - 1}
        kind = "response.output_text.annotation.added"
        return [self._about(kind, item_id=item.head["id"], **where, annotation=annotation)]

    def _part(self, item: OutputItem, kind: str) -> list[bytes]:
        """The part of that kind begins, if it is not under way."""
        if item.parts and item.parts[-1]["type"] == kind:
            return []
        out = self._part_done(item)
        item.parts.append(part_of(kind))
        where = {"item_id": item.head["id"], "content_index": len(item.parts) - 1}
        return [*out, self._about("response.content_part.added", **where, part=item.parts[-1])]

    def _delta(self, item: OutputItem, kind: str, text: str) -> bytes:
        item.said.append(text)
        more: dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
        where = {"item_id": item.head["id"], "content_index": len(item.parts) - 1}
        return self._about(f"response.{kind}.delta", **where, delta=text, **more)

    def _part_done(self, item: OutputItem) -> list[bytes]:
        if not item.parts:
            return []
        part = item.close_part()
        kind, where = part["type"], {"item_id": item.head["id"], "content_index": len(item.parts) - 1}
        more: dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
        told = {TEXT_IN[kind]: part[TEXT_IN[kind]], **more}
        done = self._about(f"response.{kind}.done", **where, **told)
        return [done, self._about("response.content_part.done", **where, part=part)]

    def _done(self, item: OutputItem, status: str) -> list[bytes]:
        out: list[bytes] = []
        place = {"item_id": item.head["id"]}
        if item.kind == "message":
            out = self._part_done(item)
        elif item.kind == "reasoning" and item.said:
            where, part = {**place, "summary_index": 0}, {"type": "summary_text", "text": item.text}
            out.append(self._about("response.reasoning_summary_text.done", **where, text=item.text))
            out.append(self._about("response.reasoning_summary_part.done", **where, part=part))
        elif item.kind == "function_call":
            if not item.text.strip():
                item.said = ["{}"]  # none, which clients could not read
                out.append(self._about("response.function_call_arguments.delta", **place, delta="{}"))
            told = {"name": item.head["name"], "arguments": item.text}
            out.append(self._about("response.function_call_arguments.done", **place, **told))
        elif item.kind in CALLS:
            if item.input:
                out.append(self._about("response.custom_tool_call_input.delta", **place, delta=item.input))
            out.append(self._about("response.custom_tool_call_input.done", **place, input=item.input))
        whole = item.as_it_is(status)
        self.response["output"].append(whole)
        return [*out, self._about("response.output_item.done", item=whole)]

    def _about(self, kind: str, **fields: Any) -> bytes:
        """An event about the item that is open."""
        return self._event(kind, {"output_index": self._index, **fields})

    def _event(self, kind: str, fields: dict[str, Any]) -> bytes:
        told = _encode({"type": kind, "sequence_number": self._number, **fields})
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), told)
