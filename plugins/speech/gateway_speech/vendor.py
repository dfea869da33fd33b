"""What the four have in common: how one of them is asked, and how its answers are read."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from secrets import token_hex
from typing import Protocol
from urllib.parse import urlencode

import msgspec

from gateway.contract import FormPart, Head, Stored
from gateway.contract.usage import Usage
from gateway.translators.chat import ChatRequest
from gateway.wire.form import upload_of
from gateway_speech.accounts import SpeechAccount
from gateway_speech.asked import Heard, Spoken
from gateway_speech.transcript import Transcript

Pairs = Sequence[tuple[str, str]]


class Sent(msgspec.Struct, frozen=True):
    """A request, but for the account: `path` below the account's address, with the query; `length`: of a body that
    comes in pieces."""

    path: str
    content_type: str
    body: bytes | AsyncIterator[bytes]
    length: int | None = None


class SpeechVendor(Protocol):
    name: str
    """As in `provider-account/NAME`."""
    base_url: str
    suffixes: Sequence[str]
    """What an account's address may end in, although paths are written with it."""
    key_variable: str
    formats: Sequence[str]
    """Of sound, as OpenAI calls them."""
    models_path: str | None
    """Where it lists its models; None: it does not."""

    def headers(self, account: SpeechAccount) -> Mapping[str, str]:
        """With the account's key."""

    def speak(self, asked: Spoken, fields: ChatRequest, model: str) -> Sent:
        """Raises BadRequest."""

    def listen(self, asked: Heard, fields: ChatRequest, model: str) -> Sent:
        """Raises BadRequest."""

    def characters(self, head: Head) -> int | None:
        """How many it says that it has spoken."""

    def transcript(self, body: bytes, *, with_words: bool) -> Transcript:
        """Raises ValueError: it is none."""

    def listed(self, body: bytes) -> Iterable[str]:
        """Raises ValueError: it is no list of models."""


def with_query(path: str, pairs: Pairs) -> str:
    return f"{path}?{urlencode(pairs)}" if pairs else path


def json_sent(path: str, fields: Mapping[str, object]) -> Sent:
    """Without those that are None."""
    said = {name: value for name, value in fields.items() if value is not None}
    return Sent(path, "application/json", msgspec.json.encode(said))


def form_sent(path: str, pairs: Pairs, file: FormPart) -> Sent:
    parts = [FormPart(name, value.encode()) for name, value in pairs]
    content_type, length, body = upload_of([*parts, file], token_hex(16))
    return Sent(path, content_type, body if isinstance(body, bytes) else aiter(body), length)


def raw_sent(path: str, file: FormPart) -> Sent:
    """The recording itself. Of its label nothing counts but that it is sound: as JSON the vendor would take it for an
    address, and fetch from there."""
    label = (file.content_type or "").partition(";")[0].strip().lower()
    kind = label if label.startswith(("audio/", "video/")) and label.isascii() else "application/octet-stream"
    data: bytes | Stored = file.data
    if isinstance(data, bytes):
        return Sent(path, kind, data)
    return Sent(path, kind, aiter(data), len(data))


def seconds(duration_s: float | None) -> Usage | None:
    """A begun one counts."""
    if duration_s is None or not 0 <= duration_s < 10**9:
        return None
    return Usage(audio_seconds=-int(-duration_s // 1))
