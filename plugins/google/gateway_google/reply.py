"""What `generateContent` answers with, whole or in pieces.

Source: ai.google.dev/api/generate-content; `Candidate` and `FinishReason` in types.py of google-genai 3.6.1; read
2026-11.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.errors import BrokeOff
from gateway.translators.reading import decoded
from gateway.wire.google import error_of

FILTERED = "content_filter"
FINISH: Mapping[str, str] = {
    "STOP": "stop",
    "FINISH_REASON_UNSPECIFIED": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": FILTERED,
    "RECITATION": FILTERED,
    "LANGUAGE": FILTERED,
    "BLOCKLIST": FILTERED,
    "PROHIBITED_CONTENT": FILTERED,
    "SPII": FILTERED,
    "IMAGE_SAFETY": FILTERED,
    "IMAGE_PROHIBITED_CONTENT": FILTERED,
    "IMAGE_RECITATION": FILTERED,
    "ESCALATION": FILTERED,
    "PUP_LIMITED_DISABLED": FILTERED,
    "MODEL_ARMOR": FILTERED,
}
"""Google's reason -> OpenAI's. Any other is a failure of the model, such as MALFORMED_FUNCTION_CALL: with `stop` it
would look like an answer, and callers would wait for calls that never come."""
CUT = ("OTHER", "IMAGE_OTHER", "NO_IMAGE", "TOO_MANY_TOOL_CALLS")
"""Failures that leave a use to what came before them: then they are `length`."""


class FunctionCall(msgspec.Struct, gc=False):
    name: str = ""
    id: str | None = None
    args: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def arguments(self) -> str:
        """JSON text, without what whole answers are indented with."""
        data = bytes(self.args)
        return msgspec.json.format(data, indent=-1).decode() if data not in (b"", b"null") else "{}"


class Blob(msgspec.Struct, rename="camel", gc=False):
    mime_type: str = ""
    data: str = ""

    @property
    def uri(self) -> str:
        return f"data:{self.mime_type};base64,{self.data}"


class Code(msgspec.Struct, gc=False):
    code: str = ""
    language: str = ""


class CodeResult(msgspec.Struct, gc=False):
    output: str = ""
    outcome: str = ""


class Piece(msgspec.Struct, rename="camel", gc=False):
    """One part of a content, as far as a chat completion can say it."""

    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None
    executable_code: Code | None = None
    code_execution_result: CodeResult | None = None

    @property
    def shown(self) -> str:
        """Its text; code that the model ran, and what that printed, between fences."""
        if self.executable_code is not None:
            language = self.executable_code.language.lower().removesuffix("_unspecified")
            return f"\n```{language}\n{self.executable_code.code}\n```\n"
        if self.code_execution_result is not None:
            return f"\n```\n{self.code_execution_result.output}\n```\n"
        return self.text or ""


class Content(msgspec.Struct, gc=False):
    parts: list[Piece] = []


class Place(msgspec.Struct, rename="camel", gc=False):
    """Of a source."""

    uri: str = ""
    title: str = ""


class Source(msgspec.Struct, rename="camel", gc=False):
    web: Place | None = None
    maps: Place | None = None
    retrieved_context: Place | None = None
    image: Place | None = None

    @property
    def place(self) -> Place:
        return self.web or self.maps or self.retrieved_context or self.image or Place()


class Segment(msgspec.Struct, rename="camel", gc=False):
    """In bytes of UTF-8."""

    start_index: int = 0
    end_index: int = 0
    part_index: int = 0


class Support(msgspec.Struct, rename="camel", gc=False):
    segment: Segment | None = None
    grounding_chunk_indices: list[int] = []


class Grounding(msgspec.Struct, rename="camel", gc=False):
    grounding_chunks: list[Source] = []
    grounding_supports: list[Support] = []
    web_search_queries: list[str] = []


class Citation(msgspec.Struct, rename="camel", gc=False):
    uri: str = ""
    title: str = ""
    start_index: int = 0
    end_index: int = 0


class Citations(msgspec.Struct, rename="camel", gc=False):
    citations: list[Citation] = []


class Token(msgspec.Struct, rename="camel", gc=False):
    token: str = ""
    log_probability: float = 0.0

    @property
    def told(self) -> dict[str, Any]:
        return {"token": self.token, "logprob": self.log_probability, "bytes": list(self.token.encode())}


class TopTokens(msgspec.Struct, gc=False):
    candidates: list[Token] = []


class Logprobs(msgspec.Struct, rename="camel", gc=False):
    chosen_candidates: list[Token] = []
    top_candidates: list[TopTokens] = []

    @property
    def told(self) -> list[dict[str, Any]]:
        """As in `choices[].logprobs.content`."""
        tops = [[token.told for token in top.candidates] for top in self.top_candidates]
        tops += [[]] * (len(self.chosen_candidates) - len(tops))
        return [{**token.told, "top_logprobs": top} for token, top in zip(self.chosen_candidates, tops, strict=False)]


class Candidate(msgspec.Struct, rename="camel", gc=False):
    index: int = 0
    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    grounding_metadata: Grounding | None = None
    citation_metadata: Citations | None = None
    logprobs_result: Logprobs | None = None


class Feedback(msgspec.Struct, rename="camel", gc=False):
    block_reason: str | None = None
    block_reason_message: str | None = None

    @property
    def refusal(self) -> str | None:
        if self.block_reason is None:
            return None
        return self.block_reason_message or f"The prompt was blocked ({self.block_reason})."


class Reply(msgspec.Struct, rename="camel", gc=False):
    candidates: list[Candidate] = []
    prompt_feedback: Feedback | None = None
    usage_metadata: Any = None
    model_version: str = ""
    response_id: str = ""
    error: msgspec.Raw | None = None


_reply = msgspec.json.Decoder(Reply)


def read(data: bytes) -> Reply:
    """Raises UpstreamError: it is an error, or nothing that this API answers with."""
    try:
        reply = decoded(data, _reply)
    except (ValueError, RecursionError) as error:
        raise error_of(data) from error
    if reply.error is not None:
        raise error_of(data)
    return reply


def failure_of(candidate: Candidate, *, has_content: bool) -> BrokeOff | None:
    """Why a candidate is no answer, once it has ended; None: it is one."""
    reason = candidate.finish_reason
    if not reason or reason in FINISH or (has_content and reason in CUT):
        return None
    more = f": {candidate.finish_message}" if candidate.finish_message else ""
    return BrokeOff(f"the model failed to finish its answer ({reason[:60]}){more[:1000]}", code=reason.lower()[:60])


def finish_of(reason: str | None, *, has_calls: bool) -> str:
    said = FINISH.get(reason or "STOP", "length")
    return "tool_calls" if said == "stop" and has_calls else said


def annotations_of(
    grounding: Grounding | None, citations: Citations | None, texts: Sequence[str]
) -> list[dict[str, Any]]:
    """Where the answer is from, as OpenAI has it.

    Args:
        texts: of the answer, by the index of the part it stands in; empty for what is no text.
    """
    found = []
    whole = "".join(texts)
    cited: set[int] = set()
    sources = grounding.grounding_chunks if grounding is not None else []
    for support in grounding.grounding_supports if grounding is not None else ():
        segment = support.segment or Segment()
        before = sum(map(len, texts[: segment.part_index]))
        data = "".join(texts[segment.part_index :]).encode()
        start, end = (before + _chars(data, index) for index in (segment.start_index, segment.end_index))
        for index in support.grounding_chunk_indices:
            if 0 <= index < len(sources):
                cited.add(index)
                found.append(_cites(sources[index].place, start, end))
    for index, source in enumerate(sources):
        if index not in cited:
            found.append(_cites(source.place, len(whole), len(whole)))
    data = whole.encode() if citations is not None else b""
    for citation in citations.citations if citations is not None else ():
        if citation.uri:
            start, end = _chars(data, citation.start_index), _chars(data, citation.end_index)
            found.append(_cites(Place(citation.uri, citation.title), start, end))
    return found


def _cites(place: Place, start: int, end: int) -> dict[str, Any]:
    url = {"url": place.uri, "title": place.title, "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": url}


def _chars(data: bytes, index: int) -> int:
    return len(data[:index].decode(errors="ignore"))
