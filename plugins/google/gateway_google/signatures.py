"""Thought signatures: what Gemini thought, sealed, which it wants back in the part where it was.

A call of a function carries its own in `extra_content.google.thought_signature`, as at Google's OpenAI-compatible API.
All others are in `thinking_blocks`, behind a prefix that says which part they are from, and that they are Gemini's: no
other vendor could open them, and the request with it would be refused.

Source: ai.google.dev/gemini-api/docs/thought-signatures and /openai, read 2026-11.
"""

from typing import Any

from gateway.translators.chat import Part, ToolCall

OF_TEXT = "gemini:"
OF_THOUGHT = "gemini-thought:"
UNKNOWN = "skip_thought_signature_validator"
"""In place of one that is lost, or that another model's turn never had. Without any, Gemini 3 refuses the request."""


def block_of(prefix: str, thought: str, signature: str) -> dict[str, str]:
    return {"type": "thinking", "thinking": thought, "signature": prefix + signature}


def parts_of(blocks: list[Part]) -> tuple[list[dict[str, Any]], str | None, bool]:
    """The thoughts that were sealed themselves, the seal of the text, and whether some of it is not Gemini's."""
    thoughts: list[dict[str, Any]] = []
    of_text: str | None = None
    is_lossy = False
    for block in blocks:
        signature = block.signature or ""
        if signature.startswith(OF_THOUGHT):
            sealed = signature.removeprefix(OF_THOUGHT)
            thoughts.append({"text": block.thinking or "", "thought": True, "thoughtSignature": sealed})
        elif signature.startswith(OF_TEXT) and of_text is None:
            of_text = signature.removeprefix(OF_TEXT)
        else:
            is_lossy = True
    return thoughts, of_text, is_lossy


def extra_of(signature: str | None) -> dict[str, Any] | None:
    return {"google": {"thought_signature": signature}} if signature else None


def signature_of(call: ToolCall) -> str | None:
    match call.extra_content:
        case {"google": {"thought_signature": str(signature)}} if signature:
            return signature
    return None
