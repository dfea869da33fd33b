"""A value that must not be written down."""

import re
import string
from typing import Annotated, NoReturn

from msgspec import Meta

_AROUND = "\r\n\ufeff\u200b\u200c\u200d\u2060"
_NOT_IN_HEADERS = re.compile(r"[^\x20-\x7e\xa0-\xff]")
_NOT_IN_TEXT = re.compile(r"[\0\ud800-\udfff]")


class Secret:
    """Holds a key or password. Formatting, `repr` and pickling never show it; `reveal()` is the one way out.

    A field of this type takes what can be sent as a header, one line of Latin-1; of type `SecretText` any text, of type
    `SecretJson` also a mapping, which becomes JSON.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")


SecretText = Annotated[Secret, Meta(extra={"is_any_text": True})]
"""Such as a key file of several lines, or a password that is encoded before it is sent."""
SecretJson = Annotated[Secret, Meta(extra={"is_any_text": True, "is_json": True})]
"""A document, such as Google's key files: as JSON text, or written into the manifest as it is."""


def cleaned(value: str) -> str:
    """Without what editors, shells and copying leave around a secret: line breaks, and characters nobody can see."""
    return value.strip(_AROUND)


def cleaned_token(value: str) -> str:
    """The same for what holds no spaces, so that none of them around it is meant."""
    return value.strip(_AROUND + string.whitespace)


def flaw(value: str) -> str | None:
    """What a secret holds that no header can carry, without telling more of it; None: it can be sent."""
    match = _NOT_IN_HEADERS.search(value)
    return _name_of(match[0]) if match is not None else None


def any_flaw(value: str) -> str | None:
    """The same for any text: what no text can hold."""
    match = _NOT_IN_TEXT.search(value)
    return _name_of(match[0]) if match is not None else None


def _name_of(character: str) -> str:
    if character in "\r\n":
        return "a line break"
    if character < " " or "\x7f" <= character < "\xa0":
        return {"\t": "a tab", "\0": "the character NUL"}.get(character, "a control character")
    if "\ud800" <= character <= "\udfff":
        return "bytes that are not UTF-8"
    return "an invisible character" if character in _AROUND else "a character that is not in Latin-1"
