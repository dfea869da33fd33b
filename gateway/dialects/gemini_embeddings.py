"""Google's Gemini API: embeddings of one content, or of several.

Source: ai.google.dev/api/embeddings, read 2026-11.
"""

from gateway.contract import Ask, Call, Head, JsonBody, Reading, Request
from gateway.dialects.gemini import GeminiDialect, model_in
from gateway.dialects.openai import estimated_tokens
from gateway.wire.gemini import BATCH_EMBED, EMBED, EmbeddingsReading, action_of


class GeminiEmbeddings(GeminiDialect):
    """A `Dialect`, with the errors of the rest of that API."""

    model_type = "embedding"

    def __init__(self) -> None:
        super().__init__("gemini_embeddings", (EMBED, BATCH_EMBED))

    def parse(self, request: Request) -> Ask:
        body, model = request.body, model_in(request)
        assert isinstance(body, JsonBody)
        prompt = body.fields.get("requests" if action_of(request) == BATCH_EMBED else "content")
        return Ask(model, input_tokens=estimated_tokens(prompt, body.data), has_output=False)

    def reading(self, call: Call, head: Head) -> Reading:
        return EmbeddingsReading()


GEMINI_EMBEDDINGS = GeminiEmbeddings()
