"""What is marked is found, and nothing is left unmarked."""

from typing import Annotated

import msgspec

from gateway.manifests.kinds import STRUCTS
from gateway.manifests.marks import Mark, Marked, marked, parts_of
from gateway.manifests.shapes import is_struct
from gateway.providers.demo import Demo
from gateway.providers.openai_compatible import OpenAICompatible
from gateway.secrecy.secret import Secret

Name = Annotated[str, Mark.MODEL]


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    url: Annotated[Secret, Mark.URL] | None = None
    names: tuple[Name, ...] = ()


class Special(Inner, frozen=True, kw_only=True):
    more: Annotated[dict[str, str], Mark.HEADERS] | None = None


class Outer(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    one: Inner = msgspec.field(default=Inner(), name="theOne")
    many: tuple[Inner, ...] | None = None
    by_name: dict[str, Inner] = {}
    either: Name | int = 0


def test_finds_what_is_marked():
    """In lists, mappings and unions, in subclasses of what a field was declared as, and under the manifest's names."""
    url = Secret("https://h")

    found = marked(
        Outer(
            name="n",
            one=Inner(names=("a/b", "c/d")),
            many=(Inner(), Special(url=url, more={"x": "y"})),
            by_name={"k": Inner(names=("e/f",))},
            either="g/h",
        )
    )

    assert [*found] == [
        Marked(("theOne", "names", 0), Mark.MODEL, "a/b"),
        Marked(("theOne", "names", 1), Mark.MODEL, "c/d"),
        Marked(("many", 1, "url"), Mark.URL, url),
        Marked(("many", 1, "more"), Mark.HEADERS, {"x": "y"}),
        Marked(("by_name", "k", "names", 0), Mark.MODEL, "e/f"),
        Marked(("either",), Mark.MODEL, "g/h"),
    ]


def structs():
    """Every struct that a manifest is read into, and those inside."""
    found, left = set(), [*STRUCTS.values(), *OpenAICompatible().accounts.values(), *Demo().accounts.values()]
    while left:
        kind = left.pop()
        if kind not in found:
            found.add(kind)
            left += [part for field in msgspec.structs.fields(kind) for part in parts_of(field.type) if is_struct(part)]
    return sorted(found, key=lambda kind: kind.__name__)


def fields_about(*words):
    """`Struct.field` -> its marks, of all fields whose name has one of the words and which hold text."""
    return {
        f"{kind.__name__}.{field.name}": {
            note
            for part in parts_of(field.type)
            for note in getattr(part, "__metadata__", ())
            if isinstance(note, Mark)
        }
        for kind in structs()
        for field in msgspec.structs.fields(kind)
        if any(word in field.name for word in words)
        and any(
            part in (str, Secret) or (hasattr(part, "__metadata__") and part.__origin__ in (str, Secret))
            for part in parts_of(field.type)
        )
    }


NO_REFERENCES = {
    # The provider's own name, or what the model itself is called and can do.
    "hosted_model_name",
    "model_id",
    "model_server",
    "model_types",
    # Of which models a rule speaks, and which it limits; it sends nobody there.
    "ModelConfig.model",
    # Of the vendor's own.
    "OpenAiModerationsConfig.model",
    "model_version",
    "ModelOverride.models",
    "models",
    # No models.
    "default_tier",
    "fallback_status_codes",
}


def test_every_model_that_a_manifest_names_is_marked():
    """Whoever names a model has to be allowed to use it. A field that is new is marked, or is added to those above."""
    fields = fields_about("model", "target", "judge", "candidate", "fallback", "classif", "embed", "summar", "route")

    named = {name for name, marks in fields.items() if Mark.MODEL in marks}
    others = {name for name in fields if not NO_REFERENCES & {name, name.partition(".")[2]}} - named

    assert (named, others) == (
        {
            "LoadBalanceTarget.target",
            "WeightTarget.target",
            "PriorityTarget.target",
            "TierTarget.target",
            "LlmClassifier.model",
            "JudgeConfig.model",
            "FallbackModel.target",
        },
        set(),
    )
