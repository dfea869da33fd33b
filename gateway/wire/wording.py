"""Where the texts are in requests, answers and events, whichever API they are of.

The APIs agree on what matters: words stand under names such as `content` and `text`, and what must not be touched, ids,
addresses and files, under a few others. So one walk does for all of them, also for fields that were not there yet when
this was written.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from gateway.wire.repeats import has_repeats
from gateway.wire.sealed_words import SEALED, Place, opened

ASKED = (
    *("system", "instructions", "messages", "input", "prompt", "suffix", "query", "documents", "texts"),
    *("contents", "systemInstruction", "system_instruction", "text", "inputs", "message", "instances"),
)
"""Fields of a request in which somebody speaks."""
UNSAID = frozenset(
    {
        *("id", "model", "stream", "stream_options", "previous_response_id", "conversation"),
        *("prompt_cache_key", "service_tier", "encoding_format", "include", "modalities"),
    }
)
"""Fields of a request of which a model sees nothing: names, ids and switches."""

UNTOUCHED = frozenset(
    {
        *("id", "type", "role", "name", "object", "model"),
        *("index", "status", "finish_reason", "stop_reason", "tool_use_id", "tool_call_id"),
        *("call_id", "item_id", "media_type", "mime_type", "mimeType", "format"),
        *("detail", "signature", "thoughtSignature", "encrypted_content", "encrypted", "data"),
        *("file_data", "fileData", "file_id", "file_uri", "fileUri", "image_url"),
        *("url", "uri", "cache_control", "obfuscation", "logprobs", "embedding"),
        *("b64_json", "service_tier", "system_fingerprint", "tool_choice", "provider", "usage"),
        *("stop_sequence", "recipient"),
    }
)
"""What stands under these is no wording: it would break if it were changed."""
_OF_LISTS = "data"
"""What a list has in OpenAI's APIs stands under the name that is a file's elsewhere: that is a text, this is none."""
JSON_TEXTS = frozenset({"arguments", "partial_json"})
"""Text that is JSON itself: what a tool is called with."""
FREE = frozenset({"input", "args", "response", "parsed_arguments", "structuredContent"})
"""Objects of tools, in which any name may stand: all of their texts are wording."""
LONG_NUMBER = 10**6
"""What is written without a sign of being a number to count with: cards and numbers of persons are larger."""
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,14}")
"""Of a field, that nobody needs to look at: shorter than any key, and neither a number nor an address."""
MAX_DEPTH = 128
MAX_TEXTS = 20_000
"""Of one document. A conversation has some hundreds."""

_SPEAKERS = {"developer": "system", "model": "assistant", "function": "tool"}
_encode = msgspec.json.encode
_decode = msgspec.json.decode


class TooManyTexts(ValueError):
    """A document has more of them, or hides them deeper, than anybody should look."""


class Spot(NamedTuple):
    """One text, and where it stands: `holder[key]`."""

    role: str
    text: str
    holder: Any
    key: Any
    is_json: bool = False

    def put(self, text: str) -> None:
        self.holder[self.key] = text


class Inside(NamedTuple):
    """Texts within a text that is JSON. They are put into its value; `seal` writes that back."""

    spot: Spot
    value: Any

    def seal(self) -> None:
        self.spot.put(_encode(self.value).decode())


class Wording:
    """All texts of one document: reads them, and puts others into their places.

    `len(texts)` never changes; what is JSON within is written anew only if something of it was changed.
    """

    def __init__(self, spots: Iterator[Spot]) -> None:
        """Raises TooManyTexts."""
        self.spots: list[Spot] = []
        self._inside: dict[int, Inside] = {}
        for spot in spots:
            opened = opened_json(spot) if spot.is_json else None
            if opened is None:
                self._add(spot)
                continue
            for inner in free_spots(opened.value, spot.role):
                self._inside[len(self.spots)] = opened
                self._add(inner)

    def _add(self, spot: Spot) -> None:
        if len(self.spots) == MAX_TEXTS:
            raise TooManyTexts(f"it has more than {MAX_TEXTS:,} texts, which is more than guardrails look at")
        self.spots.append(spot)

    def put(self, texts: Mapping[int, str]) -> None:
        """By the numbers of their places. All at once: what is JSON within is written only once."""
        put_all((self.spots[index], text) for index, text in texts.items())
        changed = {id(inside): inside for index in texts if (inside := self._inside.get(index)) is not None}
        for inside in changed.values():
            inside.seal()

    def changes(self, texts: Iterable[str]) -> dict[int, str]:
        """Those that are others than they were, by their numbers. `texts`: one for each place."""
        pairs = zip(self.spots, texts, strict=True)
        return {index: text for index, (spot, text) in enumerate(pairs) if text != spot.holder[spot.key]}


def opened_json(spot: Spot) -> Inside | None:
    """None: it is no JSON object or list, or not all of it would be seen. It is looked at as it stands."""
    try:
        data = spot.text.encode()
        value = _decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    return Inside(spot, value) if isinstance(value, dict | list) and not has_repeats(data, value) else None


def request_spots(fields: Mapping[str, Any], *, last_only: bool = False) -> Iterator[Spot]:
    """
    Args:
        fields: of a request, those in `ASKED`, decoded. They are changed by `Spot.put`.
        last_only: only the last of several messages.
    """
    for name in ASKED:
        if name not in fields:
            continue
        role = "system" if name.lower().startswith(("system", "instruction")) else "user"
        value = fields[name]
        is_turns = isinstance(value, list) and name in ("messages", "input", "contents")
        if last_only:
            if role == "system":
                continue
            if is_turns and value and isinstance(value[-1], dict):
                yield from _spots(value[-1], role)
                continue
        if isinstance(value, str):
            yield Spot(role, value, fields, name)
        elif name == "documents" or (name == "text" and isinstance(value, dict)):
            # What is ranked may have fields of any name; of responses, `text` is the schema of the answer.
            yield from free_spots(value, role)
        else:
            yield from _spots(value, role)


def aside_spots(name: str, fields: Mapping[str, Any]) -> Iterator[Spot]:
    """
    Args:
        name: of a field that is in neither `ASKED` nor `UNSAID`: what tools are for, the form of the answer, and what
            was not there yet when this was written. A model reads it, though nobody says it: all of its texts count,
            whatever they are called.
    """
    value = fields[name]
    if isinstance(value, str):
        yield Spot("system", value, fields, name)
    elif isinstance(value, dict | list):
        yield from free_spots(value, "system")


def without_tokens(value: Any, depth: int = 0) -> None:
    """Takes out the log probabilities, which repeat each token of what was changed."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, dict):
        if (logprobs := value.get("logprobs")) is not None:
            value["logprobs"] = [] if isinstance(logprobs, list) else None
        for inner in value.values():
            without_tokens(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            without_tokens(inner, depth + 1)


def answer_spots(answer: Any) -> Iterator[Spot]:
    """Of a whole answer."""
    return _spots(answer, "assistant")


def _spots(value: Any, role: str, depth: int = 0) -> Iterator[Spot]:
    if depth > MAX_DEPTH:
        raise too_deep()
    if isinstance(value, dict):
        said = value.get("role")
        if isinstance(said, str):
            role = _SPEAKERS.get(said, said)
        elif value.get("type") in ("tool_result", "function_call_output"):
            role = "tool"
        for key, inner in value.items():
            if isinstance(inner, str):
                if inner and (key not in UNTOUCHED or _is_document(key, value)):
                    yield Spot(role, inner, value, key, key in JSON_TEXTS)
                elif inner and key == SEALED:
                    yield from _sealed_spots(value, role, depth)
            elif inner is None or (key in UNTOUCHED and key != _OF_LISTS):
                continue
            elif key in FREE and isinstance(inner, dict):
                yield from free_spots(inner, role, depth + 1)
            else:
                yield from _spots(inner, role, depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if isinstance(inner, str):
                if inner:
                    yield Spot(role, inner, value, index)
            else:
                yield from _spots(inner, role, depth + 1)


def _sealed_spots(item: dict[str, Any], role: str, depth: int) -> Iterator[Spot]:
    if (found := opened(item)) is not None:
        for spot in _spots(found.value, role, depth + 1):
            yield spot._replace(holder=Place(spot.holder, found.seal))


def too_deep() -> TooManyTexts:
    return TooManyTexts(f"it is nested deeper than {MAX_DEPTH}, which is deeper than guardrails look")


def _is_document(key: str, holder: Mapping[str, Any]) -> bool:
    """Of Anthropic: `{"type": "text", "media_type": "text/plain", "data": "..."}`, which is no file in base64."""
    return key == "data" and holder.get("type") == "text"


class Members:
    """The names and values of an object, by their number: of a name that is changed, the value is still found."""

    def __init__(self, value: dict[str, Any]) -> None:
        self._value = value
        self._names = [*value]
        self._renamed: dict[int, str] = {}

    def __getitem__(self, key: tuple[int, bool]) -> Any:
        number, is_name = key
        name = self._names[number]
        return self._renamed.get(number, name) if is_name else self._value[name]

    def __setitem__(self, key: tuple[int, bool], said: str) -> None:
        number, is_name = key
        if is_name:
            self._renamed[number] = said
        else:
            self._value[self._names[number]] = said

    def settle(self) -> None:
        """Gives the values their new names; two that have become the same get a number."""
        if not self._renamed:
            return
        values = [*self._value.values()]
        taken = {name for number, name in enumerate(self._names) if number not in self._renamed}
        counts: dict[str, int] = {}
        for number, said in self._renamed.items():
            name = said
            while name in taken:
                counts[said] = counts.get(said, 1) + 1
                name = f"{said} {counts[said]}"
            taken.add(name)
            self._names[number] = name
        self._renamed.clear()
        self._value.clear()
        self._value.update(zip(self._names, values, strict=True))


def put_all(texts: Iterable[tuple[Spot, str]]) -> None:
    """Each into its place."""
    changed: dict[int, Members] = {}
    for spot, text in texts:
        spot.put(text)
        if isinstance(spot.holder, Members):
            changed[id(spot.holder)] = spot.holder
    for members in changed.values():
        members.settle()


def free_spots(value: Any, role: str, depth: int = 0) -> Iterator[Spot]:
    """All texts, long whole numbers, and names that are more than a word, whatever they are called."""
    if depth > MAX_DEPTH:
        raise too_deep()
    if isinstance(value, dict):
        members = Members(value)
        for number, (name, inner) in enumerate([*value.items()]):
            if not _PLAIN_NAME.fullmatch(name):
                yield Spot(role, name, members, (number, True))
            yield from _free(inner, role, depth, members, (number, False))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _free(inner, role, depth, value, index)


def _free(inner: Any, role: str, depth: int, holder: Any, key: Any) -> Iterator[Spot]:
    if isinstance(inner, str):
        if inner:
            yield Spot(role, inner, holder, key)
    elif isinstance(inner, dict | list):
        yield from free_spots(inner, role, depth + 1)
    elif isinstance(inner, int | float) and inner >= LONG_NUMBER and inner == int(inner):
        yield Spot(role, str(int(inner)), holder, key)
