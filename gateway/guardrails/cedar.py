"""Cedar: whether somebody may use a tool of an MCP server, by policies that are part of the manifest.

The principal is `User::"ana@example.com"` or `VirtualAccount::"ci"`, in each `Team::"red"` that it is a member of; the
action `Action::"MCPTool"`; the resource `MCPServer::"github"`. What the policies may ask besides, `context.tool`,
`context.args` and `context.metadata`, is this project's own choice: the original's names are not published.

Sources: docs.truefoundry.com, "Cedar Guardrails" (kinds of entities, before a tool is used, what nothing permits is
denied), and the README of cedarpy 4.12; read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

from gateway.contract import Caller, Finding, GuardrailSpec, Hook, Subject, ToolUse
from gateway.errors import UpstreamError
from gateway.guardrails.needs import needed
from gateway.manifests.guardrail_kinds import CedarConfig

_KINDS = {"user": "User", "virtualaccount": "VirtualAccount"}
_ACTION, _RESOURCE, _TEAM = "Action", "MCPServer", "Team"
_LARGEST = 2**63 - 1
"""Of whole numbers in Cedar. Others, and those that are not whole, are told as they are written."""
_MARKS = frozenset({"__entity", "__extn", "__expr"})
"""Names by which Cedar's JSON says that something is no record: who calls a tool must not say so."""
MAX_DEPTH = 32


class CedarGuardrail:
    hooks = frozenset({Hook.MCP_PRE})
    is_quick = True
    reads_texts = False

    def __init__(self, spec: GuardrailSpec) -> None:
        """Raises ValueError: the policies cannot be read, or the package is not there."""
        config = spec.config
        assert isinstance(config, CedarConfig)
        self.name = spec.name
        self._engine = needed("cedarpy")
        try:
            self._policies = self._engine.PolicySet.from_str(config.policy)
        except ValueError as error:
            raise ValueError(f"policy: Cedar cannot read it: {str(error)[:300]}") from error

    async def check(self, subject: Subject) -> Finding:
        if subject.tool is None:
            raise UpstreamError("there is no tool to decide about")
        entities = entities_of(subject.caller, subject.tool)
        request = {
            "principal": entities[0]["uid"],
            "action": _uid(_ACTION, "MCPTool"),
            "resource": entities[-1]["uid"],
            "context": context_of(subject.tool, subject.metadata),
        }
        said = self._engine.is_authorized(request, self._policies, entities)
        if said.diagnostics.errors:
            # Cedar leaves out what it cannot decide, and that may be what forbids it.
            raise UpstreamError("one of the policies cannot be decided for these arguments")
        return Finding() if said.allowed else Finding("block", "no policy permits it, or one forbids it")


make = CedarGuardrail


def entities_of(caller: Caller | None, tool: ToolUse) -> list[dict[str, Any]]:
    """The principal first, the resource last."""
    kind, _, name = (caller.subject if caller is not None else "").partition(":")
    teams = sorted(each.removeprefix("team:") for each in caller.subjects if each.startswith("team:")) if caller else []
    principal = {
        "uid": _uid(_KINDS.get(kind, "Other"), name),
        "attrs": {"name": name, "teams": teams},
        "parents": [_uid(_TEAM, team) for team in teams],
    }
    groups = [{"uid": _uid(_TEAM, team), "attrs": {}, "parents": []} for team in teams]
    resource = {"uid": _uid(_RESOURCE, tool.server), "attrs": {"name": tool.server}, "parents": []}
    return [principal, *groups, resource]


def context_of(tool: ToolUse, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Raises UpstreamError: it cannot be told to Cedar."""
    return {"tool": tool.name, "args": _value(tool.arguments), "metadata": _value(metadata)}


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": kind, "id": name}


def _value(value: Any, depth: int = 0) -> Any:
    """As Cedar knows values: it has no null and no fractions."""
    if depth > MAX_DEPTH:
        raise UpstreamError("the arguments of the tool are nested deeper than Cedar is asked about")
    if isinstance(value, Mapping):
        if not _MARKS.isdisjoint(value):
            raise UpstreamError("the arguments of the tool have a name that means something to Cedar")
        return {str(name): _value(inner, depth + 1) for name, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_value(inner, depth + 1) for inner in value if inner is not None]
    if isinstance(value, bool | str) or (isinstance(value, int) and -_LARGEST <= value <= _LARGEST):
        return value
    return str(value)
