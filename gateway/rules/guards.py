"""Which guardrails a call has to pass, and what it means when one of them objects or cannot tell."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

import msgspec

from gateway.contract import Caller, Choice, Finder, Guardrail, Hook, Upstream
from gateway.errors import BadRequest
from gateway.manifests.guardrails import EnforcingStrategy
from gateway.rules.index import Index, Key
from gateway.rules.limits.rule import Filter, names_of

DEFAULT_MESSAGE = "Guardrail checks failed for integrations: [{{failed_guardrails}}]: {{guardrail_message}}"

KINDS = {Hook.LLM_INPUT: "Input", Hook.LLM_OUTPUT: "Output", Hook.MCP_PRE: "Tool", Hook.MCP_POST: "Tool"}
MAX_HEADER = 8192

_FILLED_IN = re.compile(r"\{\{(failed_guardrails|guardrail_message)\}\}")
_NOBODY: frozenset[str] = frozenset()


class Check(msgspec.Struct, frozen=True, eq=False):
    """A guardrail, and what its word counts for. The lowest `priority` comes first.

    Args:
        mutates: what it puts in place of the texts is taken; else it only judges.
        upstream: who calls the services that it asks; None: the network of all.
    """

    guardrail: Guardrail
    strategy: EnforcingStrategy
    priority: int = 1
    mutates: bool = False
    upstream: Upstream | None = None

    @property
    def name(self) -> str:
        return self.guardrail.name

    @property
    def blocks(self) -> bool:
        return self.strategy != "audit"

    @property
    def blocks_on_error(self) -> bool:
        return self.strategy == "enforce"

    @property
    def finder(self) -> Finder | None:
        """Of those that do nothing but to find things in texts, and need not wait for anybody."""
        finder: Finder | None = getattr(self.guardrail, "finder", None)
        return finder

    @property
    def is_thorough(self) -> bool:
        """It looks at all a model is given, as it costs next to nothing; others at what somebody says."""
        return self.finder is not None

    @property
    def reads_texts(self) -> bool:
        return bool(getattr(self.guardrail, "reads_texts", True))

    @property
    def needs_whole(self) -> bool:
        """A part of an answer says nothing to it."""
        return bool(getattr(self.guardrail, "needs_whole", False))

    @property
    def is_quick(self) -> bool:
        """Asks nobody."""
        return self.finder is not None or bool(getattr(self.guardrail, "is_quick", False))


class GuardRule(msgspec.Struct, frozen=True, eq=False):
    """What calls have to pass that all of it fits.

    Args:
        models: about the names of a call's models, as in `names_of`.
        subjects: one of them has to fit.
        message: for who is refused; with placeholders.
        id: as the manifest has it.
    """

    models: Filter
    subjects: tuple[Filter, ...]
    metadata: Mapping[str, str]
    checks: tuple[Check, ...]
    message: str | None = None
    id: str = ""

    def fits(self, names: Iterable[frozenset[str]], caller: Caller | None, metadata: Mapping[str, str]) -> bool:
        """`names`: for each model that may answer, all that it is called."""
        subjects = caller.subjects if caller is not None else _NOBODY
        return (
            self.metadata.items() <= metadata.items()
            and any(filter_.fits(subjects) for filter_ in self.subjects)
            and any(map(self.models.fits, names))
        )

    @property
    def keys(self) -> list[Key] | None:
        """Of which a call has to have one; None: it need not."""
        if self.models.only is not None:
            return [("model", name) for name in self.models.only]
        if all(filter_.only is not None for filter_ in self.subjects):
            return [("subject", subject) for filter_ in self.subjects for subject in filter_.only or ()]
        return [*self.metadata.items()][:1] or None


class GuardRules(msgspec.Struct, frozen=True, eq=False):
    """All rules in force; of hooks that have none, nothing.

    Args:
        timeout_s: what each guardrail may take.
        is_parallel: a model may be asked while guardrails that only judge are still waiting.
        checks: all that are registered, by `<group>/<name>`; None: it cannot be carried out.
        _by_hook: follows from `by_hook`.
    """

    by_hook: Mapping[Hook, tuple[GuardRule, ...]] = {}
    timeout_s: float = 5.0
    is_parallel: bool = True
    checks: Mapping[str, Check | None] = {}
    _by_hook: Mapping[Hook, Index[GuardRule]] = {}

    def __post_init__(self) -> None:
        indexes = {hook: Index((rule, rule.keys) for rule in rules) for hook, rules in self.by_hook.items()}
        msgspec.structs.force_setattr(self, "_by_hook", indexes)

    @property
    def is_empty(self) -> bool:
        """Nothing is asked for, and there is nothing that could be."""
        return not self.by_hook and not self.checks

    def matching(
        self, hook: Hook, choice: Choice, caller: Caller | None, metadata: Mapping[str, str]
    ) -> list[GuardRule]:
        """All that fit. A model that leads to others has their names too: a rule for one of these is not got around by
        asking for the other, and who excludes one has excluded it however it is asked for."""
        asked, route = choice.target.name, choice.route
        targets = [candidate.name for candidate in route.candidates] if route is not None else []
        names = [names_of((asked, target)) for target in targets or [asked]]
        index = self._by_hook.get(hook)
        if index is None:
            return []
        subjects = caller.subjects if caller is not None else _NOBODY
        keys = chain(
            (("model", name) for each in names for name in each),
            (("subject", subject) for subject in subjects),
            metadata.items(),
        )
        return [rule for rule in index.candidates(keys) if rule.fits(names, caller, metadata)]


def checks_of(rules: Iterable[GuardRule], more: Iterable[Check] = ()) -> list[Check]:
    """Each guardrail once, in the order of their priorities."""
    by_name = {check.name: check for check in chain(more, *(rule.checks for rule in rules))}
    return sorted(by_name.values(), key=lambda check: check.priority)


class Chosen(msgspec.Struct, frozen=True):
    """`X-TFY-GUARDRAILS`: what a caller wants to pass besides what rules ask for."""

    llm_input_guardrails: tuple[str, ...] = ()
    llm_output_guardrails: tuple[str, ...] = ()
    mcp_tool_pre_invoke_guardrails: tuple[str, ...] = ()
    mcp_tool_post_invoke_guardrails: tuple[str, ...] = ()

    def of(self, hook: Hook) -> tuple[str, ...]:
        names: tuple[str, ...] = getattr(self, f"{hook}_guardrails")
        return names


NOTHING_CHOSEN = Chosen()
_chosen = msgspec.json.Decoder(Chosen)
_names = msgspec.json.Decoder(dict[str, msgspec.Raw])


def chosen_in(header: bytes | None) -> Chosen:
    """Raises BadRequest: it cannot be read."""
    if not header:
        return NOTHING_CHOSEN
    if len(header) > MAX_HEADER:
        raise BadRequest(f"x-tfy-guardrails is over {MAX_HEADER:,} bytes")
    try:
        chosen = _chosen.decode(header)
        misspelt = [name for name in _names.decode(header) if "guardrail" in name and not hasattr(chosen, name)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"x-tfy-guardrails cannot be read: {error}") from error
    if misspelt:  # who wants to pass some must not be left to think so
        lists = ", ".join(chosen.__struct_fields__)
        raise BadRequest(f"x-tfy-guardrails has {misspelt[0][:200]!r}, which is none of its lists: {lists}")
    return chosen


def checks_by_name(rules: GuardRules, hook: Hook, names: Iterable[str], may_use: Callable[[str], bool]) -> list[Check]:
    """
    Args:
        may_use: whether the caller may use the group of this name.

    Raises:
        BadRequest: there is none of that name that the caller may use, or it is not for that hook.
    """
    found: list[Check] = []
    for name in names:
        check = rules.checks.get(name)
        if name not in rules.checks or not may_use(name.partition("/")[0]):
            raise BadRequest(f"there is no guardrail {name[:200]!r} that you may use; write <group>/<name>")
        if check is None:
            raise BadRequest(f"the guardrail {name!r} cannot be used: `gateway check` says why")
        if hook not in check.guardrail.hooks:
            raise BadRequest(f"the guardrail {name!r} is not for {hook}")
        found.append(check)
    return found


def refusal(hook: Hook, rules: Sequence[GuardRule], objections: Mapping[str, str]) -> str:
    """What to tell who is refused: by the first rule that has words of its own for one of the guardrails.

    Args:
        objections: name of a guardrail -> what it objects to.
    """
    own = (
        rule.message
        for rule in rules
        if rule.message is not None and any(check.guardrail.name in objections for check in rule.checks)
    )
    texts = {
        "failed_guardrails": ", ".join(objections),
        "guardrail_message": "; ".join(dict.fromkeys(objections.values())),
    }
    return _FILLED_IN.sub(lambda found: texts[found[1]], next(own, f"{KINDS[hook]} {DEFAULT_MESSAGE}"))
