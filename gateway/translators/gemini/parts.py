"""Contents of the Gemini API as they come.

Source: ai.google.dev/api/caching#Content; `Part` in types.py of google-genai 3.6.1; read 2026-11.
"""

from typing import Any

import msgspec


class Blob(msgspec.Struct, rename="camel"):
    """`data`: base64."""

    mime_type: str | None = None
    data: str | None = None
    display_name: str | None = None


class File(msgspec.Struct, rename="camel"):
    file_uri: str | None = None
    mime_type: str | None = None
    display_name: str | None = None


class FunctionCall(msgspec.Struct):
    id: str | None = None
    name: str = ""
    args: msgspec.Raw = msgspec.Raw()


class ResultPart(msgspec.Struct, rename="camel"):
    inline_data: Blob | None = None
    file_data: File | None = None


class FunctionResponse(msgspec.Struct):
    id: str | None = None
    name: str = ""
    response: msgspec.Raw = msgspec.Raw()
    parts: list[ResultPart] | None = None


class Code(msgspec.Struct):
    code: str | None = None
    language: str | None = None


class CodeResult(msgspec.Struct):
    output: str | None = None
    outcome: str | None = None


class Part(msgspec.Struct, rename="camel"):
    """One of its fields says what it is."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: Blob | None = None
    file_data: File | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    executable_code: Code | None = None
    code_execution_result: CodeResult | None = None
    video_metadata: Any = None

    @property
    def said(self) -> str:
        """Its text; code that a model ran, and what that printed, between fences."""
        if self.executable_code is not None:
            language = (self.executable_code.language or "").lower().removesuffix("_unspecified")
            return f"\n```{language}\n{self.executable_code.code or ''}\n```\n"
        if self.code_execution_result is not None:
            return f"\n```\n{self.code_execution_result.output or ''}\n```\n"
        return self.text or ""


class Content(msgspec.Struct):
    """`parts`: one may stand there without its list, as in Google's own examples."""

    role: str | None = None
    parts: list[Part] | Part | None = None

    @property
    def listed(self) -> list[Part]:
        """Its parts."""
        return [self.parts] if isinstance(self.parts, Part) else self.parts or []
