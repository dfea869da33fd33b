"""The messages of a chat request.

Source: platform.openai.com/docs/api-reference/chat/create, types of openai-python 3.57; fields for reasoning as of
LiteLLM, OpenRouter, vLLM and the TrueFoundry gateway; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat.media import AudioPart, FilePart, Media, UrlPart, of_audio, of_file, of_url

ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
THOUGHTS = ("thinking", "redacted_thinking")

_EMPTY = msgspec.Raw(b"{}")
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Part(msgspec.Struct, omit_defaults=True):
    """One part of a message's content: text, a refusal, a file (see `media`), or reasoning of an earlier turn.

    Args:
        cache_control: Anthropic's marker, `{"type": "ephemeral", "ttl": "5m"}`.
        citations, context: of a document, as Anthropic has them: whether to cite it, and what is to be known about it.
        thinking, signature, data: of `thinking` and `redacted_thinking`.
    """

    type: str = "text"
    text: str | None = None
    refusal: str | None = None
    image_url: UrlPart | str | None = None
    video_url: UrlPart | str | None = None
    input_audio: AudioPart | None = None
    file: FilePart | None = None
    cache_control: dict[str, Any] | None = None
    citations: Any = None
    context: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None

    @property
    def media(self) -> Media | None:
        """The file in it, if it holds one. Raises BadRequest: it says that it does, and does not."""
        if self.image_url is not None:
            return of_url("image", self.image_url)
        if self.video_url is not None:
            return of_url("video", self.video_url)
        if self.input_audio is not None:
            return of_audio(self.input_audio)
        return of_file(self.file) if self.file is not None else None


class FunctionCall(msgspec.Struct, omit_defaults=True):
    """`arguments`: JSON text; some clients send the object itself."""

    name: str = ""
    arguments: str | dict[str, Any] | None = None

    @property
    def input(self) -> msgspec.Raw | None:
        """The arguments as a JSON object; `{}` where there are none, for which some write `null`, and None where they
        are no object, as when a model was cut off in the middle of them."""
        arguments = self.arguments
        if not isinstance(arguments, str):
            return msgspec.Raw(msgspec.json.encode(arguments)) if arguments else _EMPTY
        if arguments.strip() in ("", "null"):
            return _EMPTY
        data = arguments.encode()
        try:
            _object.decode(data)
        except (msgspec.DecodeError, RecursionError):
            return None
        return msgspec.Raw(data)


class ToolCall(msgspec.Struct, omit_defaults=True):
    """`extra_content`: what a vendor wants back with the call: Gemini's `{"google": {"thought_signature": "..."}}`."""

    id: str = ""
    type: str = "function"
    function: FunctionCall = msgspec.field(default_factory=FunctionCall)
    extra_content: dict[str, Any] | None = None


class Message(msgspec.Struct, omit_defaults=True):
    """
    Args:
        content: some clients send one part without a list around it.
        reasoning_content: of an earlier turn, as text; `reasoning` is OpenRouter's and vLLM's name for it.
        thinking_blocks: the same as the provider gave it, with signatures: `thinking` and `redacted_thinking`.
        is_error: of a tool's result.
        audio: of an earlier answer, by its id.
        images: that a model has made, as `Answer.image` tells them.
    """

    role: str
    content: str | list[Part | str] | Part | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    audio: Any = None
    images: list[Part] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[Part] | None = None
    cache_control: dict[str, Any] | None = None
    is_error: bool | None = None
    function_call: Any = None

    @property
    def is_system(self) -> bool:
        return self.role in ("system", "developer")

    @property
    def parts(self) -> list[Part]:
        """Its content in parts, whatever form it has; what is empty is left out."""
        content = self.content
        if isinstance(content, str):
            return [Part(text=content)] if content else []
        if isinstance(content, Part):
            content = [content]
        parts = [Part(text=part) if isinstance(part, str) else part for part in content or ()]
        return [part for part in parts if part.type != "text" or part.text]

    @property
    def thoughts(self) -> list[Part]:
        """Of an earlier turn, with what seals them: its `thinking_blocks`, and those that stand among its parts."""
        return [*(self.thinking_blocks or ()), *(part for part in self.parts if part.type in THOUGHTS)]

    @property
    def said(self) -> list[Part]:
        """Its parts without thoughts, and its refusal."""
        said = [part for part in self.parts if part.type not in THOUGHTS]
        return [*said, Part(type="refusal", refusal=self.refusal)] if self.refusal else said

    @property
    def text(self) -> str:
        """Of its parts of text."""
        content = self.content
        return content if isinstance(content, str) else "".join(part.text or "" for part in self.parts)


def read_messages(messages: list[Message]) -> list[Message]:
    """Raises BadRequest: there are none, or something is in them that no translator can say."""
    if not messages:
        raise BadRequest("messages must not be empty", param="messages")
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if message.role == "function" or message.function_call is not None:
            raise BadRequest(f"{where}: function calls of the old kind are not translated; use tools", param="messages")
        if message.role not in ROLES:
            raise BadRequest(f"{where}.role must be one of {', '.join(sorted(ROLES))}", param="messages")
        if message.role == "tool" and not message.tool_call_id:
            raise BadRequest(f"{where}: a tool's result needs its tool_call_id", param="messages")
        for call in message.tool_calls or ():
            if call.type != "function" or not call.function.name:
                raise BadRequest(f"{where}.tool_calls: only named calls of functions are translated", param="messages")
    return messages
