"""OpenAI's moderations API, which says of texts and pictures whether they are harmful.

Source: openai-python 3.54 (resources/moderations.py), read 2026-11.
"""

from collections.abc import Sequence

from gateway.contract import Ask, Call, Head, JsonBody, Reading, Request
from gateway.contract.request import Body
from gateway.dialects.errors import OpenAIErrors
from gateway.dialects.fields import model_of
from gateway.dialects.openai import estimated_tokens
from gateway.wire.openai import BodyReading


class Moderations(OpenAIErrors):
    """A `Dialect`."""

    name = "moderations"
    routes: Sequence[tuple[str, str]] = (("POST", "/moderations"),)
    model_type = "moderation"
    accepts: type[Body] | None = JsonBody
    max_body_bytes: int | None = None

    def parse(self, request: Request) -> Ask:
        body = request.body
        assert isinstance(body, JsonBody)
        tokens = estimated_tokens(body.fields.get("input"), body.data)
        return Ask(model_of(body.fields), input_tokens=tokens, has_output=False)

    def reading(self, call: Call, head: Head) -> Reading:
        return BodyReading()


MODERATIONS = Moderations()
