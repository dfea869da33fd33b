"""What a chat completion says, whole or in pieces, as what happens in a response."""

from collections.abc import Mapping
from typing import Any

from gateway.contract.usage import Usage
from gateway.errors import GatewayError
from gateway.translators.chunked import CallPlaces
from gateway.translators.responses.events import ResponseEvents
from gateway.translators.responses.sealed import seal
from gateway.translators.responses.tools import Offered
from gateway.translators.said import Call, Choice, Said, picture_of

_CUT_BY: Mapping[str, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}
_DATA_URI = ";base64,"


class Narrator:
    """Tells `ResponseEvents` what chunks say.

    Args:
        tools: name of a function -> what it stands for.
        hexadecimal: of the response's id; calls without ids get theirs from it.
    """

    def __init__(self, events: ResponseEvents, tools: Mapping[str, Offered], hexadecimal: str) -> None:
        self.events = events
        self.finish_reason: str | None = None
        self._tools = tools
        self._hexadecimal = hexadecimal
        self._blocks: list[dict[str, Any]] = []
        """Of thinking, whole: what the provider wants back."""
        self._has_thought = False
        self._calls = CallPlaces()

    @property
    def has_ended(self) -> bool:
        return self.finish_reason is not None

    def choice(self, choice: Choice) -> bytes:
        said = choice.delta or choice.message
        out = self._said(said) if said is not None else b""
        self.finish_reason = choice.reason or self.finish_reason
        return out

    def end(self, usage: Usage | None, tier: str | None, at: int) -> bytes:
        rest = self._sealed()
        if tier is not None:
            self.events.response["service_tier"] = tier
        return rest + self.events.end(usage, cut_by=_CUT_BY.get(self.finish_reason or ""), completed_at=at)

    def fail(self, error: GatewayError, usage: Usage | None) -> bytes:
        return self.events.fail(error, usage)

    def _said(self, said: Said) -> bytes:
        out = []
        if thought := said.thought:
            self._has_thought = True
            out.append(self._sealed())
            out.append(self.events.reasoning(thought))
        out += map(self._block, said.thinking_blocks or ())
        if text := said.text:
            out += (self._sealed(), self.events.text(text))
        if said.refusal:
            out += (self._sealed(), self.events.refusal(said.refusal))
        out += map(self._picture, said.images or ())
        out += (self.events.annotation(found) for each in said.annotations or () if (found := _annotation(each)))
        out += map(self._call, said.calls)
        return b"".join(out)

    def _block(self, block: dict[str, Any]) -> bytes:
        """A block that is whole, or, where it has no signature yet, a piece of one."""
        match block:
            case {"type": "redacted_thinking", "data": str()}:
                self._blocks.append(block)
            case {"signature": str(signature)} if signature:
                thinking = str(block.get("thinking") or "")
                out = self.events.reasoning(thinking) if thinking and not self._has_thought else b""
                self._has_thought = False
                self._blocks.append({"type": "thinking", "thinking": thinking, "signature": signature})
                return out
            case {"thinking": str(thinking)} if thinking and not self._has_thought:
                return self.events.reasoning(thinking)
        return b""

    def _sealed(self) -> bytes:
        """Once a block is whole, and something else comes."""
        if not self._blocks:
            return b""
        sealed = seal(self._blocks, {})
        self._blocks = []
        return self.events.seal(sealed)

    def _picture(self, image: Any) -> bytes:
        match image:
            case {"image_url": {"url": str(url)}} if url.startswith("data:") and _DATA_URI in url:
                return self._sealed() + self.events.image(url.partition(_DATA_URI)[2])
        shown = picture_of(image)
        return self._sealed() + self.events.text(shown) if shown else b""

    def _call(self, call: Call) -> bytes:
        number = self._calls.of(call)
        out = b""
        if number is None:
            name = call.function.name
            if not name:
                return b""  # nothing that could be called
            id_ = str(call.id or f"call_{self._hexadecimal}_{len(self._calls.ids)}")
            number = self._calls.add(call, id_)
            out = self._sealed()
            if call.extra_content is not None:
                out += self.events.seal(seal([], {id_: call.extra_content}))
            out += self.events.call(number, id_, self._tools.get(name) or Offered(name))
        fragment = call.fragment
        return out + self.events.arguments(number, fragment) if fragment else out


def _annotation(annotation: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where something is from; None: it says nothing of an address."""
    match annotation:
        case {"url_citation": {"url": str(url), **more}}:
            places = {
                name: place if isinstance(place := more.get(name), int) else 0 for name in ("start_index", "end_index")
            }
            return {"type": "url_citation", "url": url, "title": str(more.get("title") or ""), **places}
    return None
