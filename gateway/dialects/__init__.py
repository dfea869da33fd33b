"""Client-facing APIs: how their requests are read and how their errors are written."""

from gateway.dialects.native import NATIVE
from gateway.dialects.openai import CHAT, COMPLETIONS, EMBEDDINGS

__all__ = ["CHAT", "COMPLETIONS", "EMBEDDINGS", "NATIVE"]
