"""OpenAI's models that think.

Source: platform.openai.com/docs/guides/reasoning, read 2026-11.
"""

import re

_THINKS = re.compile(r"(?:\A|/)(?:o[1-9](?![0-9a-z])|gpt-[5-9])")
_NOT_FOR_ANSWERS = re.compile(r"chat-latest")


def is_thinker(model: str) -> bool:
    """Whether it takes `reasoning_effort`, no `max_tokens`, and no sampling but the usual."""
    return _THINKS.search(model) is not None and _NOT_FOR_ANSWERS.search(model) is None
