"""Embeddings: OpenAI's into three APIs of Google's, and back.

The Gemini API has `batchEmbedContents`. On Vertex AI, Gemini's models have that for several texts and `embedContent`
for one, and older models `predict`. Both cut off what is too long unless they are told not to; then it is an error, as
it is at OpenAI.

Source: ai.google.dev/api/embeddings and /gemini-api/docs/embeddings; docs.cloud.google.com/vertex-ai/generative-ai/
docs/model-reference/text-embeddings-api; the converters in models.py of google-genai 3.6.1; read 2026-11.
"""

from array import array
from base64 import b64encode
from typing import Any, Literal

import msgspec

from gateway.contract import Call, Head, JsonBody
from gateway.contract.usage import Usage
from gateway.errors import BadRequest, BrokeOff
from gateway.translators.chat import ChatRequest
from gateway.translators.reading import DocumentReading

Api = Literal["gemini", "vertex", "predict"]

TASKS = frozenset({
    "RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY", "QUESTION_ANSWERING", "FACT_VERIFICATION", "SEMANTIC_SIMILARITY",
    "CLASSIFICATION", "CLUSTERING", "CODE_RETRIEVAL_QUERY",
})  # fmt: skip
_encode = msgspec.json.encode


class ToEmbeddings:
    """A `Translator`, for callers of OpenAI's embeddings."""

    dialect = "embeddings"

    def __init__(self, api: Api) -> None:
        self.format = f"gemini-embeddings-{api}"
        self._api = api

    def request(self, call: Call, model: str) -> JsonBody:
        """Raises BadRequest: it asks for something that cannot be said here."""
        request = ChatRequest(call)
        texts = _texts(request)
        size, task = request.take("dimensions", int), _task(request)
        title = request.take("title", str)
        _form(request)
        cuts = bool(request.take("auto_truncate", bool)) if self._api != "gemini" else None
        options = {"taskType": task, "title": title, "outputDimensionality": size, "autoTruncate": cuts}
        options = {name: value for name, value in options.items() if value is not None}
        contents = [{"parts": [{"text": text}]} for text in texts]
        fields: dict[str, Any]
        if self._api == "predict":
            instance = {name: value for name, value in (("task_type", task), ("title", title)) if value is not None}
            instances = [{"content": text, **instance} for text in texts]
            parameters = {name: options[name] for name in ("outputDimensionality", "autoTruncate") if name in options}
            fields = {"instances": instances, "parameters": parameters}
        elif self._api == "gemini":
            named = {"model": f"models/{model.removeprefix('models/')}"}
            fields = {"requests": [{**named, "content": content, **options} for content in contents]}
        elif len(contents) == 1:
            fields = {"content": contents[0], "embedContentConfig": options}
        else:
            fields = {"requests": [{"content": content, "embedContentConfig": options} for content in contents]}
        told = {name: msgspec.Raw(_encode(value)) for name, value in fields.items()}
        return JsonBody(told, dropped_params=request.dropped_params)

    def reading(self, call: Call, head: Head) -> "EmbeddingsReading":
        return EmbeddingsReading(call.ask.model or "", is_base64=_form(ChatRequest(call)) == "base64")


def _texts(request: ChatRequest) -> list[str]:
    given: Any = request.take("input", Any)
    texts: Any = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise BadRequest("input must be a text or a list of texts, and not empty", param="input")
    if not all(isinstance(text, str) for text in texts):
        raise BadRequest("this model takes texts, and not the numbers of OpenAI's tokens", param="input")
    return texts


def _task(request: ChatRequest) -> str | None:
    """`task_type`, or Cohere's and NVIDIA's `input_type` for the two kinds that it has."""
    task, kind = request.take("task_type", str), request.take("input_type", str)
    if task is None and kind is not None:
        task = {"search_query": "RETRIEVAL_QUERY", "query": "RETRIEVAL_QUERY"}.get(kind)
        task = task or {"search_document": "RETRIEVAL_DOCUMENT", "passage": "RETRIEVAL_DOCUMENT"}.get(kind)
        task = task or kind.upper()
    if task is not None and task not in TASKS:
        raise BadRequest(f"task_type must be one of {', '.join(sorted(TASKS))}", param="task_type")
    return task


def _form(request: ChatRequest) -> str:
    form = request.take("encoding_format", str) or "float"
    if form not in ("float", "base64"):
        raise BadRequest("encoding_format must be float or base64", param="encoding_format")
    return form


class _Statistics(msgspec.Struct):
    token_count: float = 0
    truncated: bool = False


class _Values(msgspec.Struct, rename="camel"):
    values: list[float]
    statistics: _Statistics | None = None


class _Prediction(msgspec.Struct):
    embeddings: _Values


class _Counts(msgspec.Struct, rename="camel"):
    prompt_token_count: int = 0


class _Reply(msgspec.Struct, rename="camel"):
    embeddings: list[_Values] | None = None
    embedding: _Values | None = None
    predictions: list[_Prediction] | None = None
    usage_metadata: _Counts | None = None


_reply = msgspec.json.Decoder(_Reply)


class EmbeddingsReading(DocumentReading):
    """The Gemini API tells no tokens of older models; then there is no usage, and the gateway estimates it.

    Args:
        model: as the caller asked for it.
    """

    def __init__(self, model: str, *, is_base64: bool) -> None:
        super().__init__()
        self._model = model
        self._is_base64 = is_base64

    def document(self, body: bytes) -> bytes:
        try:
            reply = _reply.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BrokeOff("the provider's answer holds no embeddings") from error
        found = reply.embeddings
        if found is None and reply.embedding is not None:
            found = [reply.embedding]
        if found is None:
            found = [prediction.embeddings for prediction in reply.predictions or ()]
        if not found:
            raise BrokeOff("the provider's answer holds no embeddings")
        tokens = int(sum(each.statistics.token_count for each in found if each.statistics is not None))
        if reply.usage_metadata is not None:
            tokens = reply.usage_metadata.prompt_token_count
        if tokens:
            self.told_usage = Usage(input=tokens)
        data = [
            {"object": "embedding", "index": index, "embedding": self._written(each.values)}
            for index, each in enumerate(found)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return _encode({"object": "list", "data": data, "model": self._model, "usage": usage})

    def _written(self, values: list[float]) -> Any:
        """As little-endian floats of 32 bits, which is what OpenAI's clients ask for unless told otherwise."""
        if not self._is_base64:
            return values
        floats = array("f", values)
        if floats.itemsize != 4 or array("H", [1]).tobytes() != b"\x01\x00":
            floats.byteswap()
        return b64encode(floats.tobytes()).decode()
