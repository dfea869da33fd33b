"""`when` of a manifest -> filters, with a warning for each name that nobody has."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from gateway.contract import Target
from gateway.errors import Fault
from gateway.manifests import Manifest
from gateway.manifests.builder import Steps
from gateway.manifests.guardrails import Condition
from gateway.manifests.routing import When
from gateway.manifests.scopes import ModelWhen, Selection, SubjectSelections
from gateway.rules.access.subjects import canonical
from gateway.rules.limits.rule import METADATA, Filter

Find = Callable[[str], Target | None]
Filters = tuple[tuple[str, Filter], ...]

_KINDS = MappingProxyType({"users": "user", "teams": "team", "virtual_accounts": "virtualaccount"})


class Names:
    """The names in one manifest, as requests have them.

    Args:
        find: a name or alias -> the model, virtual ones included, or None.
        accounts: names of all accounts.
        warnings: where they go.
    """

    def __init__(self, manifest: Manifest, find: Find, accounts: frozenset[str], warnings: list[Fault]) -> None:
        self.manifest = manifest
        self.find = find
        self.accounts = accounts
        self.warnings = warnings

    def filters_of_rule(self, at: Steps, when: When) -> Filters:
        return _narrow(
            {
                "subject": Filter(self._only((*at, "subjects"), when.subjects or (), self._subject)),
                "model": Filter(self._only((*at, "models"), when.models or (), self._models)),
                **{METADATA + key: Filter(_only([value])) for key, value in (when.metadata or {}).items()},
            }
        )

    def filters(self, when: ModelWhen) -> Filters:
        return _narrow(
            {
                "subject": self._subjects(when.subjects),
                "model": self._selected(("when", "models"), when.models, self._models),
                "account": self._selected(("when", "provider_accounts"), when.provider_accounts, self._account),
                **{
                    METADATA + key: Filter(_only(selection.in_), frozenset(selection.not_in))
                    for key, selection in when.metadata.items()
                },
            }
        )

    def models(self, at: Steps, condition: Condition) -> Filter:
        named = frozenset(self._models((*at, "values", index), text) for index, text in enumerate(condition.values))
        return Filter(named) if condition.condition == "in" else Filter(never=named)

    def subjects(self, at: Steps, selection: Selection) -> Filter:
        return self._selected(at, selection, self._subject)

    def selected_models(self, at: Steps, selection: Selection) -> Filter:
        return self._selected(at, selection, self._models)

    def overridden(self, field: str, at: Steps, text: str) -> str | None:
        """Whom an override is about, as in `Facts.whom`. None: nobody can have that name."""
        if field == "models":
            return self._model(at, text)
        if field in _KINDS:
            subject = self._of_kind(_KINDS[field], at, text)
            return subject and subject.partition(":")[2]
        return text

    def _subjects(self, selections: SubjectSelections) -> Filter:
        """One filter of all three lists. A `*` is any of its kind, and not everybody."""
        only: list[str] = []
        never: list[str] = []
        is_narrow = False
        for field, kind in _KINDS.items():
            selection: Selection = getattr(selections, field)
            is_narrow = is_narrow or bool(selection.in_)
            for key, texts, found in (("in", selection.in_, only), ("not_in", selection.not_in, never)):
                for index, text in enumerate(texts):
                    at = ("when", "subjects", field, key, index)
                    subject = f"{kind}:*" if text == "*" else self._of_kind(kind, at, text)
                    if subject is not None:
                        found.append(subject)
        return Filter(frozenset(only) if is_narrow else None, frozenset(never))

    def _selected(self, at: Steps, selection: Selection, resolve: Callable[[Steps, str], str | None]) -> Filter:
        never = (resolve((*at, "not_in", index), text) for index, text in enumerate(selection.not_in))
        return Filter(self._only((*at, "in"), selection.in_, resolve), frozenset(filter(None, never)))

    def _only(
        self, at: Steps, texts: Sequence[str], resolve: Callable[[Steps, str], str | None]
    ) -> frozenset[str] | None:
        if _only(texts) is None:
            return None
        return frozenset(filter(None, (resolve((*at, index), text) for index, text in enumerate(texts))))

    def _subject(self, at: Steps, text: str) -> str | None:
        subject = canonical(text)
        if subject is None:
            self._warn(at, "nobody is meant: write user:<email>, team:<name> or virtualaccount:<name>")
        return subject

    def _of_kind(self, kind: str, at: Steps, text: str) -> str | None:
        """A subject that may be written without its kind."""
        subject = canonical(text if ":" in text else f"{kind}:{text}")
        if subject is None or not subject.startswith(f"{kind}:"):
            self._warn(at, f"nobody is meant: {text!r} cannot be the name of a {kind}")
            return None
        return subject

    def _models(self, at: Steps, text: str) -> str:
        """One model, all of an account (`openai-main/*`), or all (`*`)."""
        account, _, model = text.partition("/")
        return text if text == "*" or (model == "*" and account in self.accounts) else self._model(at, text)

    def _model(self, at: Steps, text: str) -> str:
        """Its full name. One that is not there may be kept in the database, which is read after the files."""
        found = self.find(text)
        if found is None:
            self._warn(at, f"{text} is no model of any account")
        return text if found is None else found.name

    def _account(self, at: Steps, text: str) -> str:
        if text != "*" and text not in self.accounts:
            self._warn(at, f"there is no account named {text}")
        return text

    def _warn(self, at: Steps, message: str) -> None:
        self.warnings.append(self.manifest.fault(at, message))


def _only(texts: Iterable[str]) -> frozenset[str] | None:
    """None, which is any, for an empty list or one with a `*`."""
    found = frozenset(texts)
    return None if not found or "*" in found else found


def _narrow(filters: Mapping[str, Filter]) -> Filters:
    """Those that do not fit everything."""
    return tuple((about, filter_) for about, filter_ in filters.items() if filter_ != Filter())
