"""Client-facing APIs: how their requests are read and how their errors are written."""

from gateway.contract import Dialect
from gateway.dialects.accounts import ACCOUNT_APIS, TUNED_MODELS
from gateway.dialects.audio import SPEECH, TRANSCRIPTIONS, TRANSLATIONS
from gateway.dialects.gemini import GEMINI, GEMINI_COUNT, GEMINI_MODELS
from gateway.dialects.gemini_embeddings import GEMINI_EMBEDDINGS
from gateway.dialects.images import IMAGE_EDITS, IMAGE_VARIATIONS, IMAGES
from gateway.dialects.messages import COUNT_TOKENS, MESSAGES
from gateway.dialects.moderations import MODERATIONS
from gateway.dialects.native import NATIVE
from gateway.dialects.native_speech import NATIVE_SPEECH
from gateway.dialects.ocr import OCR
from gateway.dialects.openai import CHAT, COMPLETIONS, EMBEDDINGS
from gateway.dialects.pass_through import PASSED
from gateway.dialects.proxy import PROXY
from gateway.dialects.realtime import REALTIME, REALTIME_CALLS, REALTIME_KEYS
from gateway.dialects.rerank import RERANK
from gateway.dialects.responses import COMPACT, KEPT_COMPLETIONS, KEPT_RESPONSES, MAKE_RESPONSE, RESPONSE_TOKENS

ALL: tuple[Dialect, ...] = (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    IMAGES,
    IMAGE_EDITS,
    IMAGE_VARIATIONS,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    SPEECH,
    RERANK,
    MODERATIONS,
    OCR,
    MESSAGES,
    COUNT_TOKENS,
    GEMINI,
    GEMINI_COUNT,
    GEMINI_EMBEDDINGS,
    MAKE_RESPONSE,
    RESPONSE_TOKENS,
    COMPACT,
    KEPT_RESPONSES,
    KEPT_COMPLETIONS,
    REALTIME_KEYS,
    REALTIME_CALLS,
    *ACCOUNT_APIS,
)

__all__ = [
    "ACCOUNT_APIS",
    "ALL",
    "CHAT",
    "COMPACT",
    "COMPLETIONS",
    "COUNT_TOKENS",
    "EMBEDDINGS",
    "GEMINI",
    "GEMINI_COUNT",
    "GEMINI_EMBEDDINGS",
    "GEMINI_MODELS",
    "IMAGES",
    "IMAGE_EDITS",
    "IMAGE_VARIATIONS",
    "KEPT_COMPLETIONS",
    "KEPT_RESPONSES",
    "MAKE_RESPONSE",
    "MESSAGES",
    "MODERATIONS",
    "NATIVE",
    "NATIVE_SPEECH",
    "OCR",
    "PASSED",
    "PROXY",
    "REALTIME",
    "REALTIME_CALLS",
    "REALTIME_KEYS",
    "RERANK",
    "RESPONSE_TOKENS",
    "SPEECH",
    "TRANSCRIPTIONS",
    "TRANSLATIONS",
    "TUNED_MODELS",
]
