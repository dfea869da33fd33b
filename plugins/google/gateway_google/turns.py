"""The messages of a chat as contents: a user's and the model's, and what is said to the system.

Source: ai.google.dev/gemini-api/docs/function-calling, /thought-signatures and /text-generation; `FunctionResponse` in
types.py of google-genai 3.6.1; read 2026-11.
"""

from math import inf
from typing import Any

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest, Message, ToolCall
from gateway_google.content import Contents, Piece, texts_of
from gateway_google.models import Traits
from gateway_google.signatures import UNKNOWN, parts_of, signature_of


class Turns:
    """`resolution`: as in `Contents`."""

    def __init__(self, request: ChatRequest, traits: Traits) -> None:
        self.system: list[Piece] = []
        self.contents: list[dict[str, Any]] = []
        self._request = request
        self._traits = traits
        self._files = Contents(request, traits)
        self._names: dict[str, str] = {}
        """Id of a call -> the function it called."""
        self._order: dict[str, int] = {}
        """Id of a call of the last turn -> its place among them."""
        self._results: list[tuple[str, list[Piece]]] = []
        """Those of its calls, with their ids, of which some clients have several that are the same."""
        for message in request.messages:
            if message.name is not None and message.role != "tool":
                request.drop("messages.name")
            if message.cache_control is not None:
                request.drop("messages.cache_control")
            if message.audio is not None:
                request.drop("messages.audio")
            self._add(message)
        self._end_results()
        if not self.contents:
            raise BadRequest("there must be a message that is not empty, and not the system's", param="messages")

    @property
    def resolution(self) -> str | None:
        return self._files.resolution

    def _add(self, message: Message) -> None:
        if message.is_system:
            self.system += texts_of(message.parts, "system", self._request)
        elif message.role == "tool":
            self._result(message)
        elif message.role == "assistant":
            self._say("model", self._assistant(message))
        else:
            self._say("user", self._files.pieces(message.parts))

    def _say(self, role: str, parts: list[Piece]) -> None:
        self._end_results()
        if parts:
            self.contents.append({"role": role, "parts": parts})

    def _assistant(self, message: Message) -> list[Piece]:
        self._end_results()
        blocks = message.thoughts
        parts, signature, is_lossy = parts_of(blocks)
        if is_lossy:
            self._request.drop("messages.thinking_blocks")
        elif not blocks and (message.reasoning_content or message.reasoning):
            self._request.drop("messages.reasoning_content")  # a summary, which it does not read
        texts = texts_of(message.said, "assistant", self._request)
        if signature is not None:
            texts = texts or [{"text": ""}]
            texts[-1]["thoughtSignature"] = signature
        calls = message.tool_calls or []
        self._order = {call.id: place for place, call in reversed([*enumerate(calls)])}
        pictures = self._files.pieces(message.images or ())
        return [*parts, *texts, *pictures, *self._calls(calls)]

    def _calls(self, calls: list[ToolCall]) -> list[Piece]:
        parts = []
        for call in calls:
            arguments = call.function.input
            given = {"id": call.id} if call.id else {}
            self._names[call.id] = call.function.name
            part: Piece = {
                "functionCall": {
                    **given,
                    "name": call.function.name,
                    "args": arguments if arguments is not None else {"INVALID_JSON": call.function.arguments},
                }
            }
            if (signature := signature_of(call)) is not None:
                part["thoughtSignature"] = signature
            parts.append(part)
        # Of calls made at once, the first has the signature.
        if self._traits.checks_signatures and parts and not any("thoughtSignature" in part for part in parts):
            parts[0]["thoughtSignature"] = UNKNOWN
        return parts

    def _result(self, message: Message) -> None:
        call_id = message.tool_call_id or ""
        name = self._names.get(call_id) or message.name
        if not name:
            raise BadRequest(
                f"no message before it has a tool call with the id {call_id[:80]!r}, so it is not known which function "
                "this is the result of",
                param="messages",
            )
        # As text, also where it is JSON: an object would lose digits of its numbers, which become floating point.
        texts = [part for part in message.parts if part.media is None]
        told = "".join(piece["text"] for piece in texts_of(texts, "tool", self._request))
        response: Piece = {"id": call_id, "name": name, "response": {"error" if message.is_error else "output": told}}
        files = self._files.pieces(part for part in message.parts if part.media is not None)
        parts: list[Piece] = [{"functionResponse": response}]
        if files and self._traits.has_own_resolution:
            response["parts"] = [{key: piece[key] for key in piece if key != "mediaResolution"} for piece in files]
        else:
            parts += files
        self._results.append((call_id, parts))

    def _end_results(self) -> None:
        """All results of one turn are one turn, in the order of its calls."""
        if not self._results:
            return
        results, self._results, order = self._results, [], self._order
        results.sort(key=lambda result: order.get(result[0], inf))
        pieces = [piece for _, parts in results for piece in parts]
        pieces.sort(key=lambda piece: "functionResponse" not in piece)  # files of older models stand behind them
        self.contents.append({"role": "user", "parts": pieces})
