"""What is known of a request besides what its caller says: metadata that rules set, complete and demand."""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.contract import Caller
from gateway.errors import BadRequest
from gateway.rules.limits.rule import Filter

SHOWN = 5

_NOBODY: frozenset[str] = frozenset()


class MetadataRule(msgspec.Struct, frozen=True, eq=False):
    """About requests of these callers.

    Args:
        override: stands in place of what the caller says.
        default: stands where neither the caller nor a rule says anything.
        required: what each of them has to have in the end.
    """

    subjects: Filter = Filter()
    override: Mapping[str, str] = {}
    default: Mapping[str, str] = {}
    required: tuple[str, ...] = ()


class MetadataRules(msgspec.Struct, frozen=True, eq=False):
    """All that fit count, later ones before earlier ones.

    Args:
        tags: caller -> what its own manifest says of it, which counts before all else.
        is_empty: nothing is known besides; follows from both.
    """

    rules: Sequence[MetadataRule] = ()
    tags: Mapping[str, Mapping[str, str]] = {}
    is_empty: bool = True

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "is_empty", not (self.rules or self.tags))

    def resolved(self, metadata: Mapping[str, str], caller: Caller | None) -> Mapping[str, str]:
        """What limits, routes and the log go by.

        Raises:
            BadRequest: something is missing that has to be there.
        """
        subjects = caller.subjects if caller is not None else _NOBODY
        fitting = [rule for rule in self.rules if rule.subjects.fits(subjects)]
        found: dict[str, str] = {}
        for rule in fitting:
            found |= rule.default
        found |= metadata
        for rule in fitting:
            found |= rule.override
        if caller is not None:
            found |= self.tags.get(caller.subject, {})
        if missing := [key for rule in fitting for key in rule.required if key not in found]:
            names = ", ".join(map(repr, dict.fromkeys(missing[:SHOWN])))
            raise BadRequest(f"the request needs metadata for {names}: send them as JSON in the header x-tfy-metadata")
        return found
