"""What a chat completion says, as the Gemini API says it.

Source: ai.google.dev/api/generate-content#v1beta.GenerateContentResponse; `Candidate`, `FinishReason` and
`GenerateContentResponseUsageMetadata` in types.py of google-genai 3.6.1; read 2026-11.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from gateway.contract.usage import Usage
from gateway.errors import BadRequest, BrokeOff
from gateway.translators.chat import FunctionCall
from gateway.translators.chat.media import data_uri
from gateway.translators.gemini.sealed import MOST_CHARS, Kept, sealed
from gateway.translators.said import Choice

FINISHES: Mapping[str, str] = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "function_call": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}
"""Finish reason -> Google's; any other is `OTHER`."""
MALFORMED = "MALFORMED_FUNCTION_CALL"

Part = dict[str, Any]


class Shown(msgspec.Struct, frozen=True):
    """
    Args:
        model: as the caller asked for it.
        new_id: as in `ToHub`.
        shows_thinking: the caller wants to see it.
    """

    model: str
    new_id: Callable[[], str]
    shows_thinking: bool

    def about(self, id_: str | int | None) -> dict[str, Any]:
        return {"modelVersion": self.model, "responseId": str(id_ or self.new_id())}


class Thoughts:
    """What was thought and has yet to go out: as a signature of the next part, since that is what callers give back."""

    def __init__(self) -> None:
        self._blocks: list[dict[str, Any]] = []
        self._texts: list[str] = []
        self._size = 0
        self._is_told = False
        """Since the last block that was signed, as text of its own."""

    def text(self, text: str) -> str:
        self._is_told = True
        if self._size <= MOST_CHARS:
            self._texts.append(text)
            self._size += len(text)
        return text

    def block(self, block: dict[str, Any]) -> str:
        """Gives back what of it has to be shown: the text of those who tell it nowhere else."""
        match block:
            case {"signature": str(signature), **more} if signature:
                thought = str(more.get("thinking") or "")
                shown = "" if self._is_told or self._texts else thought
                self._blocks.append({**block, "thinking": thought or "".join(self._texts)})
                self._forget()
                return shown
            case {"data": str(data)} if data:
                self._blocks.append(block)
            case {"thinking": str(thought)} if thought and not self._is_told:
                if self._size <= MOST_CHARS:
                    self._texts.append(thought)
                    self._size += len(thought)
                return thought
        return ""

    def of_text(self) -> Part:
        """What is to stand beside a part of text: signed thoughts."""
        if not self._blocks:
            return {}
        blocks, self._blocks = self._blocks, []
        return {"thoughtSignature": sealed(Kept(blocks))}

    def of_call(self, extra: dict[str, Any] | None) -> Part:
        """The same beside a call: of some models, that is refused without their thoughts."""
        blocks, self._blocks = self._blocks, []
        reasoning = "".join(self._texts) if not blocks and self._size <= MOST_CHARS else ""
        self._forget()
        if not blocks and not reasoning:
            match extra:
                case None:
                    return {}
                case {"google": {"thought_signature": str(signature)}} if len(extra) == 1:
                    return {"thoughtSignature": signature}
        return {"thoughtSignature": sealed(Kept(blocks, reasoning, extra))}

    def _forget(self) -> None:
        self._texts, self._size, self._is_told = [], 0, False


def call_part(id_: str, function: FunctionCall, thoughts: Thoughts, extra: dict[str, Any] | None) -> Part | None:
    """None: its arguments are no object, as when the model was cut off in the middle of them."""
    arguments = function.input
    if arguments is None or not function.name:
        return None
    return {"functionCall": {"id": id_, "name": function.name, "args": arguments}, **thoughts.of_call(extra)}


def finish_of(choice: Choice) -> str:
    """Raises BrokeOff: it was an error."""
    return FINISHES.get(choice.reason or "stop", "OTHER")


def pictures_of(images: Iterable[Any]) -> list[Part]:
    parts: list[Part] = []
    for image in images:
        match image:
            case {"image_url": {"url": str(url)}} if url[:5].lower() == "data:":
                try:
                    kind, data = data_uri(url)
                except BadRequest as error:
                    raise BrokeOff("the provider's answer has a picture without data") from error
                parts.append({"inlineData": {"mimeType": kind, "data": data}})
            case {"image_url": {"url": str(url)}}:
                parts.append({"fileData": {"fileUri": url, "mimeType": "image/*"}})
    return parts


def grounding_of(annotations: Iterable[Mapping[str, Any]]) -> Part:
    """Where an answer is from, as `groundingMetadata`; empty: nobody says."""
    chunks = []
    for annotation in annotations:
        match annotation:
            case {"url_citation": {"url": str(url), **more}}:
                chunks.append({"web": {"uri": url, "title": str(more.get("title") or "")}})
    return {"groundingMetadata": {"groundingChunks": chunks}} if chunks else {}


def usage_fields(usage: Usage | None) -> Part:
    """`usageMetadata`; empty: not known. What is cached is part of the prompt, thoughts stand beside the answer."""
    if usage is None:
        return {}
    into, out = usage.input_tokens, usage.output_tokens
    counts = {"promptTokenCount": into, "candidatesTokenCount": out - usage.reasoning, "totalTokenCount": into + out}
    if usage.cache_read:
        counts["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        counts["thoughtsTokenCount"] = usage.reasoning
    return {"usageMetadata": counts}
