"""Instructions in the middle of a conversation, for those who take them at its beginning alone.

Claude Code and Codex put some behind the first prompt and others later; the chat templates of Qwen, Mistral and Gemma
refuse the whole request for that, and servers of open models apply them as they are.

Source: platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages; vllm-project/vllm#41114 and
ollama/ollama#17774; read 2026-11.
"""

from collections.abc import Iterable
from typing import Any

Message = dict[str, Any]
Part = dict[str, Any]


def gathered(messages: Iterable[Message]) -> list[Message]:
    """The same chat with one message of the system, which comes first.

    What the system says before the model has said anything is joined to that. What it says later stays in its place, so
    that the caches of servers hit, and is said by the user, between tags as Claude Code writes them itself.
    """
    opening: list[str] = []
    said: list[Message] = []
    joined: list[Part] | None = None
    """Content of the last message, if it was put together here."""
    has_answered = was_system = False
    for message in messages:
        role = message["role"]
        is_system = role == "system"
        has_answered = has_answered or role == "assistant"
        if is_system and not has_answered:
            opening.append(_text(message))
            continue
        if is_system:
            message = {"role": "user", "content": f"<system-reminder>\n{_text(message)}\n</system-reminder>"}
        if said and said[-1]["role"] == message["role"] == "user" and (is_system or was_system):
            if joined is None:
                joined = [*_parts(said[-1])]
                said[-1] = {"role": "user", "content": joined}
            joined += _parts(message)
        else:
            said.append(message)
            joined = None
        was_system = is_system
    return [{"role": "system", "content": "\n\n".join(opening)}, *said] if opening else said


def _text(message: Message) -> str:
    return "\n\n".join(part["text"] for part in _parts(message))


def _parts(message: Message) -> list[Part]:
    content: str | list[Part] = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
