"""The few fields of a request that the gateway itself has to understand."""

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any

import msgspec

from gateway.contract import FormBody
from gateway.errors import BadRequest

MAX_MODEL_CHARS = 512
MAX_COUNT = 10**9
TEXT = msgspec.json.Decoder(str)
FLAG = msgspec.json.Decoder(bool | None)
COUNT = msgspec.json.Decoder(int | float | None, strict=False)
"""Of a number in any form that some provider takes: 5, 5.0 and "5"."""
_TRUE = ("true", "1")

Fields = Mapping[str, msgspec.Raw]


def model_of(fields: Fields) -> str:
    """Raises BadRequest, as do all of these."""
    if "model" not in fields:
        raise _no_model()
    try:
        model = TEXT.decode(fields["model"])
    except msgspec.DecodeError as error:
        raise _not_valid("model", error) from error
    if len(model) > MAX_MODEL_CHARS:
        raise _too_long()
    return model


def read(fields: Fields, name: str, decoder: "msgspec.json.Decoder[Any]") -> Any:
    try:
        return decoder.decode(fields[name])
    except msgspec.DecodeError as error:
        raise _not_valid(name, error) from error


def largest(fields: Fields, names: Iterable[str]) -> int | None:
    """Of those that are given: which of them a provider believes is its own affair. Below 1 they say nothing."""
    largest = None
    for name in names:
        if name in fields:
            count = read(fields, name, COUNT)
            if count is not None and count >= 1 and (largest is None or count > largest):
                largest = ceil(min(count, MAX_COUNT))
    return largest


def text_of(fields: Fields, name: str) -> str | None:
    """None: it is not there, or no text, which is for the provider to judge."""
    try:
        return TEXT.decode(fields[name]) if name in fields else None
    except msgspec.DecodeError:
        return None


def form_model(form: FormBody) -> str:
    """A second one would be another model than the caller may use, for a provider that reads the last."""
    parts = [part for part in form.parts if part.name == "model"]
    if not parts:
        raise _no_model()
    if len(parts) > 1:
        raise BadRequest('the field "model" was sent twice', param="model")
    if parts[0].filename is not None:
        raise BadRequest('the field "model" is a file', param="model")
    model = form.text("model") or ""
    if len(model) > MAX_MODEL_CHARS:
        raise _too_long()
    return model


def form_flag(form: FormBody, name: str) -> bool:
    return (form.text(name) or "").lower() in _TRUE


def form_count(form: FormBody, name: str) -> int:
    """1, too: it says nothing."""
    text = form.text(name) or ""
    return max(1, min(int(text), MAX_COUNT)) if len(text) < 10 and text.isascii() and text.isdecimal() else 1


def _no_model() -> BadRequest:
    return BadRequest('the field "model" is missing; GET /models lists what you may use', param="model")


def _not_valid(name: str, error: Exception) -> BadRequest:
    return BadRequest(f'the field "{name}" is not valid: {error}', param=name)


def _too_long() -> BadRequest:
    return BadRequest(f"the name of a model has at most {MAX_MODEL_CHARS} characters", param="model")
