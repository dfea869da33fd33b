"""The vendors' own APIs as their own SDKs speak them: passed on to the byte, with the account's credentials.

A form is written anew, with the vendor's name for the model. Source: as in `gateway.wire.native_speech`.
"""

from collections.abc import AsyncIterator
from secrets import token_hex

import msgspec

from gateway.contract import Call, Endpoint, FormBody, Head, RawBody, Reading, UpstreamRequest
from gateway.contract.usage import Usage
from gateway.errors import BadRequest
from gateway.wire.form import upload_of
from gateway.wire.native import body_of
from gateway.wire.native_speech import Operation, is_set, speech_path, with_query
from gateway.wire.passing import PassingReading
from gateway.wire.plain import PlainReading
from gateway_speech.vendor import SpeechVendor, seconds


def request(call: Call, account: Endpoint, base_path: str, vendor: SpeechVendor, model: str) -> UpstreamRequest:
    """
    Args:
        account, base_path: where it is, and the path below which its API is.
        model: the vendor's own name for it.

    Raises:
        BadRequest: it is another vendor's API.
    """
    said = speech_path(call)
    if said.operation.vendor != vendor.name:
        raise BadRequest(f"this is the API of {said.operation.vendor}, and the account is one at {vendor.name}")
    content_type, body, length = _body(call, said.operation, model)
    try:
        endpoint = account.at(base_path + with_query(said.path, call.request, model, said.operation))
        endpoint = endpoint.with_headers({**call.request.headers, "content-type": content_type})
    except ValueError as error:
        raise BadRequest(f"this cannot be passed on: {error}") from error
    return UpstreamRequest(endpoint, body, length=length)


def _body(call: Call, operation: Operation, model: str) -> tuple[str, bytes | AsyncIterator[bytes], int | None]:
    """Its content type, itself, and its length if it comes in pieces."""
    match call.request.body:
        case FormBody() as form:
            named = form.with_texts({operation.model: model}) if operation.place == "body" else form
            content_type, length, body = upload_of(named.parts, token_hex(16))
            return content_type, body, length
        case RawBody(data=data, content_type=content_type):
            return (content_type, data, None) if isinstance(data, bytes) else (content_type, aiter(data), len(data))
    if operation.place == "query":
        return "application/json", body_of(call), None
    # Of two fields of one name one is left, so that the vendor reads no other model than the gateway has.
    return "application/json", msgspec.json.encode({**call.fields, operation.model: model}), None


def reading(call: Call, head: Head, vendor: SpeechVendor) -> Reading:
    if speech_path(call).operation.text:
        told = vendor.characters(head)
        expected = call.ask.expected[0]
        return SpokenReading(Usage(characters=told) if told is not None else expected)
    by_channel = is_set(call.request, "multichannel") or is_set(call.request, "use_multi_channel")
    return HeardReading(head, vendor, by_channel=by_channel)


class SpokenReading(PlainReading):
    """Sound, or events with sound in them: which of the characters were spoken, it does not tell."""

    def __init__(self, usage: Usage) -> None:
        super().__init__()
        self._usage = usage

    def usage(self) -> Usage | None:
        return self._usage


class HeardReading(PassingReading):
    """A transcript, which tells how long the recording was.

    Args:
        by_channel: each channel is heard, and paid for, by itself.
    """

    def __init__(self, head: Head, vendor: SpeechVendor, *, by_channel: bool) -> None:
        super().__init__(head)
        self._vendor = vendor
        self._by_channel = by_channel

    def look(self, data: bytes) -> None:
        heard = self._vendor.transcript(data, with_words=False)
        times = max(1, heard.channels) if self._by_channel else 1
        self.told_usage = seconds(heard.duration_s * times) if heard.duration_s is not None else None
