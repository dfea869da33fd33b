"""Contents of the Gemini API as messages of a chat."""

from collections import deque
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest
from gateway.translators.gemini.files import Files
from gateway.translators.gemini.parts import Content, FunctionCall, FunctionResponse, Part
from gateway.translators.gemini.sealed import Kept, unsealed
from gateway.translators.messages.extent import Extent

_USERS = frozenset({None, "", "user", "function", "tool"})
_NOTHING = (b"", b"null")
Said = dict[str, Any]


class Turns:
    """`detail`: how closely pictures are to be looked at, for all of them."""

    def __init__(self, request: ChatRequest, extent: Extent, detail: str | None) -> None:
        self.messages: list[Said] = []
        self._request = request
        self._extent = extent
        self._files = Files(request, extent, detail)
        self._open: dict[str, str] = {}
        """Id of a call that has no result yet -> its function."""
        self._called: dict[str, deque[str]] = {}
        """Function -> ids of its calls in their order, some of which may have a result by now."""
        self._calls = 0

    def system(self, content: Content | str | None) -> None:
        """Raises BadRequest: it says something else than text."""
        if isinstance(content, str):
            content = Content(parts=[Part(text=content)])
        parts = content.listed if content is not None else []
        if any(part.text is None for part in parts):
            raise BadRequest("systemInstruction can hold only text", param="systemInstruction")
        if texts := [part.text for part in parts if part.text]:
            self.messages.append({"role": "system", "content": "\n\n".join(texts)})

    def add(self, content: Content) -> None:
        """Raises BadRequest: there is something in it that cannot be said."""
        parts = content.listed
        if content.role in _USERS:
            self._user(parts)
        elif content.role == "model":
            self._model(parts)
        else:
            raise BadRequest("the role of a content must be user or model", param="contents")

    def _user(self, parts: list[Part]) -> None:
        """Results of functions become messages of their own, which have to come right behind their calls."""
        shown: list[Said] = []
        for part in parts:
            if part.function_response is not None:
                shown += self._result(part.function_response)
        for part in parts:
            if part.function_response is None:
                shown += self._shown(part)
        if shown:
            is_plain = len(shown) == 1 and shown[0]["type"] == "text"
            self.messages.append({"role": "user", "content": shown[0]["text"] if is_plain else shown})

    def _shown(self, part: Part) -> list[Said]:
        if part.video_metadata is not None:
            self._request.drop("contents.videoMetadata")
        if part.function_call is not None:
            raise BadRequest("a functionCall must be said by the model, not by the user", param="contents")
        if part.inline_data is not None:
            return [self._files.inline(part.inline_data)]
        if part.file_data is not None:
            return [self._files.elsewhere(part.file_data)]
        return [{"type": "text", "text": part.said}] if part.said else []

    def _result(self, result: FunctionResponse) -> list[Said]:
        """Gives back the files of a result, if the user has to show them."""
        text, is_error = _told(result.response)
        message: Said = {"role": "tool", "tool_call_id": self._id_for(result), "content": text}
        self.messages.append(message)
        files = []
        for part in result.parts or ():
            if part.inline_data is not None:
                files.append(self._files.inline(part.inline_data))
            elif part.file_data is not None:
                files.append(self._files.elsewhere(part.file_data))
        if self._extent.is_hub:
            if is_error:
                message["is_error"] = True
            if files:
                message["content"] = [*([{"type": "text", "text": text}] if text else ()), *files]
            return []
        if is_error:
            message["content"] = f"Error:\n{text}"
        return [{"type": "text", "text": f"Of the result of {result.name}:"}, *files] if files else []

    def _id_for(self, result: FunctionResponse) -> str:
        """By its id, or else of the first call of that function that has no result. Raises BadRequest."""
        found = result.id
        if found not in self._open:
            called = self._called.get(result.name, deque())
            while called and called[0] not in self._open:
                called.popleft()
            found = called[0] if called else None
        if found is None:
            raise BadRequest(
                f"the functionResponse of {result.name[:64]!r} stands behind no functionCall of the model to which it"
                " could be the answer",
                param="contents",
            )
        del self._open[found]
        return found

    def _model(self, parts: list[Part]) -> None:
        self._open, self._called = {}, {}  # which Google would refuse as well: each call has to be answered at once
        texts, thoughts, reasonings = [], [], []
        blocks: list[Said] = []
        calls: list[Said] = []
        images: list[Said] = []
        for part in parts:
            kept = self._kept(part)
            blocks += kept.blocks
            if kept.reasoning:
                reasonings.append(kept.reasoning)
            if part.thought:
                thoughts.append(part.text or "")
            elif part.function_call is not None:
                calls.append(self._call(part.function_call, kept.extra))
            elif part.inline_data is not None and self._extent.is_hub:
                images.append(self._files.inline(part.inline_data))
            elif part.inline_data is not None or part.file_data is not None:
                self._request.drop("contents.inlineData")
            else:
                texts.append(part.said)
        message: Said = {"role": "assistant", "content": "".join(texts) or None}
        self._think(message, "".join(reasonings) or "".join(thoughts), blocks)
        if images:
            message["images"] = images
        if calls:
            message["tool_calls"] = calls
        if calls or images or message["content"]:
            self.messages.append(message)

    def _think(self, message: Said, reasoning: str, blocks: list[Said]) -> None:
        if reasoning and self._extent.has_reasoning:
            message["reasoning_content"] = reasoning
        elif reasoning:
            self._request.drop("contents.thought")
        if blocks and self._extent.is_hub:
            message["thinking_blocks"] = blocks
        elif blocks:
            self._request.drop("contents.thoughtSignature")

    def _kept(self, part: Part) -> Kept:
        """What stands in its signature; Google's own only goes on with a call, as at its OpenAI-compatible API."""
        if not part.thought_signature:
            return Kept()
        kept = unsealed(part.thought_signature)
        if kept is not None:
            return kept
        if part.function_call is not None and self._extent.is_hub:
            return Kept(extra={"google": {"thought_signature": part.thought_signature}})
        self._request.drop("contents.thoughtSignature")
        return Kept()

    def _call(self, call: FunctionCall, extra: dict[str, Any] | None) -> Said:
        self._calls += 1
        id_ = call.id or f"call_{self._calls}"  # the same each time, so that prompt caches hit
        self._open[id_] = call.name
        self._called.setdefault(call.name, deque()).append(id_)
        arguments = bytes(call.args).decode()
        function = {"name": call.name, "arguments": "{}" if arguments in ("", "null") else arguments}
        said = {"id": id_, "type": "function", "function": function}
        return {**said, "extra_content": extra} if extra is not None and self._extent.is_hub else said


def _told(response: msgspec.Raw) -> tuple[str, bool]:
    """What a function has answered, as text, and whether it has failed. Alone below `output`, `result` or `error`,
    where SDKs put it, a text is taken out; all else stays JSON."""
    if bytes(response) in _NOTHING:
        return "", False
    try:
        fields = msgspec.json.decode(response, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError as error:
        raise BadRequest("functionResponse.response must be an object", param="contents") from error
    name, raw = next(iter(fields.items())) if len(fields) == 1 else ("", msgspec.Raw())
    is_error = name == "error"
    if name in ("output", "result", "error") and bytes(raw).startswith(b'"'):
        return msgspec.json.decode(raw, type=str), is_error
    return bytes(response).decode(), is_error
