"""What a manifest says of it."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(pattern=r"\S", max_length=200)]
Model = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,199}\Z")]
"""A package: no path, which could lead anywhere."""
Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}\Z")]
"""As spaCy names them: `en`, `de`."""


class Operator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands in place of something found.

    Args:
        type: `replace` by `text`, or without one by the name of the entity, as in `<PERSON>`; `redact`: by nothing;
            `mask`: as many `*`, but for the last `keep` characters.
    """

    type: Literal["replace", "redact", "mask"] = "replace"
    text: str | None = None
    keep: Annotated[int, Meta(ge=0, le=100)] = 0


class PresidioConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Args:
        languages: each text is looked at in all of them.
        models: language -> the package of the spaCy model for it. Without one, only patterns are looked for.
        entities: by Presidio's names; empty: all that it knows in these languages.
        min_score: from 0 to 1; what is less certain is not taken for found.
        allow: texts that are no personal data, exactly as they are written.
        operators: entity, or `DEFAULT` -> what is done with it by who redacts.
        workers: processes, each with models of its own in memory.
        timeout_ms: for the texts of one request; whoever takes longer is ended, and another one started.
        start_timeout_ms: until the models are loaded.
        max_chars: of the texts of one request; more of them cannot be looked at.
    """

    languages: Annotated[tuple[Language, ...], Meta(min_length=1, max_length=20)] = ("en",)
    models: dict[Language, Model] = {}
    entities: tuple[Name, ...] = ()
    min_score: Annotated[float, Meta(ge=0, le=1)] = 0.4
    allow: tuple[str, ...] = ()
    operators: dict[Name, Operator] = {}
    workers: Annotated[int, Meta(ge=1, le=32)] = 1
    timeout_ms: Annotated[int, Meta(ge=1, le=600_000)] = 5_000
    start_timeout_ms: Annotated[int, Meta(ge=1, le=600_000)] = 60_000
    max_chars: Annotated[int, Meta(ge=1, le=1_000_000)] = 100_000

    def __post_init__(self) -> None:
        if others := sorted(self.models.keys() - set(self.languages)):
            raise ValueError(f"models are for other languages than `languages`: {', '.join(others)}")


def config_of(value: Any) -> PresidioConfig:
    """Raises ValueError, worded for the operator."""
    return msgspec.convert(value or {}, PresidioConfig)
