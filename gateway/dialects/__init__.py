"""Client-facing APIs: how their requests are read and how their errors are written."""

from gateway.dialects.messages import COUNT_TOKENS, MESSAGES
from gateway.dialects.openai import CHAT, COMPLETIONS, EMBEDDINGS

__all__ = ["CHAT", "COMPLETIONS", "COUNT_TOKENS", "EMBEDDINGS", "MESSAGES"]
