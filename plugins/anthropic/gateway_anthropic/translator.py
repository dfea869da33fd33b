"""From OpenAI's chat into Anthropic's Messages, and its replies back; and from Messages as they are."""

from collections.abc import Callable
from time import time

import msgspec

from gateway.contract import Call, Head, JsonBody, Reading
from gateway.errors import BadRequest
from gateway.translators.chat import ANSWER_TOOL
from gateway.translators.messages.sealed import without_foreign
from gateway.wire.anthropic import BETA, BETAS, VERSION
from gateway_anthropic.flavour import FLAVOURS, OWN_FIELDS, Flavour
from gateway_anthropic.reply import ReplyReading
from gateway_anthropic.request import body_of
from gateway_anthropic.stream import StreamedReply

_NULL = b"null"
_VERSION = "anthropic_version"
_FIRST_VERSION = "2023-06-01"
"""Of the Messages API; on Bedrock and Vertex AI it has names of its own, and later ones have not."""
_ANSWER_TOOL = ANSWER_TOOL.encode()


class ToMessages:
    """A `Translator`.

    Args:
        flavour: None: that of `format` in `FLAVOURS`.
        streamed: whose streams come in frames of their own, give it another `split`.
        clock: seconds since 1970.
    """

    dialect = "chat"

    def __init__(
        self,
        flavour: Flavour | None = None,
        *,
        format: str = "anthropic",  # noqa: A002  the word of the trade
        streamed: type[StreamedReply] = StreamedReply,
        clock: Callable[[], float] = time,
    ) -> None:
        self.format = format
        self._flavour = flavour or FLAVOURS[format]
        self._streamed = streamed
        self._clock = clock

    def request(self, call: Call, model: str) -> JsonBody:
        return body_of(call, model, self._flavour)

    def reading(self, call: Call, head: Head) -> ReplyReading | StreamedReply:
        # Not by response_format: a route may have added it, and that is not seen here.
        answer_tool = _ANSWER_TOOL not in bytes(call.fields.get("tools", b""))
        shows_tier = bytes(call.fields.get("service_tier", _NULL)) != _NULL
        if not head.is_stream:
            return ReplyReading(self._clock(), answer_tool=answer_tool, shows_tier=shows_tier)
        return self._streamed(
            self._clock(), wants_usage=call.ask.wants_usage, answer_tool=answer_tool, shows_tier=shows_tier
        )


def to_aws() -> ToMessages:
    """For the Claude Platform on AWS."""
    return ToMessages(format="anthropic-on-aws")


def to_mantle() -> ToMessages:
    """For Amazon Bedrock's own endpoint for the Messages API."""
    return ToMessages(format="anthropic-mantle")


def to_bedrock() -> ToMessages:
    """For Amazon Bedrock's InvokeModel, whose streams come in frames: see `EventReading.split`."""
    return ToMessages(format="anthropic-bedrock")


def to_vertex() -> ToMessages:
    """For Vertex AI, as Google runs it."""
    return ToMessages(format="anthropic-vertex")


def to_foundry() -> ToMessages:
    """For Microsoft Foundry."""
    return ToMessages(format="anthropic-foundry")


class Verbatim:
    """A `Translator` for callers who speak the API themselves: each field and each byte of the reply stays as it is,
    but for fields that are not known where the model runs."""

    dialect = "messages"

    def __init__(self, format: str = "anthropic") -> None:  # noqa: A002  the word of the trade
        self.format = format
        self._flavour = FLAVOURS[format]

    def request(self, call: Call, model: str) -> JsonBody:
        fields = {**call.fields, "model": msgspec.Raw(msgspec.json.encode(model))}
        if "messages" in fields:
            try:
                fields["messages"] = without_foreign(fields["messages"])
            except (msgspec.DecodeError, RecursionError) as error:
                raise BadRequest("messages cannot be read", param="messages") from error
        flavour = self._flavour
        left_out: tuple[str, ...] = ()
        if flavour.betas is not None:
            left_out = _into_fields(call, fields, flavour.betas)
        refused = {*(OWN_FIELDS - flavour.own_fields), *(() if flavour.has_tiers else ("service_tier",))}
        if BETAS in flavour.own_fields and BETAS not in fields:
            refused.add("context_management")  # which is one of them
        dropped = tuple(sorted(refused & fields.keys()))
        for name in (*dropped, *(flavour.leaves_out & fields.keys())):
            del fields[name]
        added = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in flavour.adds.items()}
        return JsonBody({**added, **fields}, dropped_params=(*dropped, *left_out))

    def reading(self, call: Call, head: Head) -> Reading:
        return call.dialect.reading(call, head)


def _into_fields(call: Call, fields: dict[str, msgspec.Raw], known: tuple[str, ...]) -> tuple[str, ...]:
    """Puts what is a header at Anthropic into the body, beside what is there. Returns what was left out."""
    headers = call.request.headers
    version = headers.get(VERSION, _FIRST_VERSION)
    if version != _FIRST_VERSION:
        fields.setdefault(_VERSION, msgspec.Raw(msgspec.json.encode(version)))
    own: list[str] = []
    if (raw := fields.pop(BETAS, None)) is not None and bytes(raw) != _NULL:
        try:
            own = msgspec.json.decode(raw, type=list[str])
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadRequest(f"{BETAS} must be a list of names", param=BETAS) from error
    named = [name for each in headers.get(BETA, "").split(",") if (name := each.strip()) and name not in own]
    kept = [*dict.fromkeys([*own, *(name for name in named if name.startswith(known))])]
    if kept:
        fields[BETAS] = msgspec.Raw(msgspec.json.encode(kept))
    return (BETA,) if any(not name.startswith(known) for name in named) else ()


class VerbatimCount(Verbatim):
    """The same for counting tokens, for providers that have a route for it: it is not to be found by others."""

    dialect = "count_tokens"


def verbatim_on_aws() -> Verbatim:
    return Verbatim("anthropic-on-aws")


def verbatim_mantle() -> Verbatim:
    return Verbatim("anthropic-mantle")


def verbatim_bedrock() -> Verbatim:
    return Verbatim("anthropic-bedrock")


def verbatim_vertex() -> Verbatim:
    return Verbatim("anthropic-vertex")


def verbatim_foundry() -> Verbatim:
    return Verbatim("anthropic-foundry")
