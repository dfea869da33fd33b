"""Who may use which tool, by policies in Cedar."""

import pytest

from gateway.contract import Caller, GuardrailSpec, Hook, Subject, ToolUse
from gateway.errors import UpstreamError
from gateway.guardrails import KINDS
from gateway.manifests.guardrail_kinds import CedarConfig

pytest.importorskip("cedarpy")

ANA = Caller(subject="user:ana@example.com", teams=frozenset({"red"}))
CI = Caller(subject="virtualaccount:ci")
POLICY = """
permit(principal in Team::"red", action == Action::"MCPTool", resource == MCPServer::"github")
when { context.tool like "get_*" };
permit(principal == VirtualAccount::"ci", action, resource) when { context.metadata has env };
forbid(principal, action, resource == MCPServer::"github")
when { context.args has path && context.args.path like "/etc*" };
"""


def cedar(policy=POLICY):
    return KINDS["cedar"](GuardrailSpec(name="g/cedar", kind="cedar", config=CedarConfig(policy=policy)))


async def verdict(caller, tool, metadata=None, policy=POLICY):
    return (await cedar(policy).check(Subject(Hook.MCP_PRE, None, caller, metadata or {}, tool=tool))).verdict


@pytest.mark.parametrize(
    ("caller", "tool", "metadata", "expected"),
    [
        (ANA, ToolUse("github", "get_issue"), {}, "pass"),
        (ANA, ToolUse("github", "delete_repo"), {}, "block"),
        (ANA, ToolUse("postgres", "get_row"), {}, "block"),
        (Caller("user:bob@example.com"), ToolUse("github", "get_issue"), {}, "block"),
        (None, ToolUse("github", "get_issue"), {}, "block"),
        (CI, ToolUse("any", "thing"), {"env": "x"}, "pass"),
        (CI, ToolUse("any", "thing"), {}, "block"),
        (ANA, ToolUse("github", "get_file", {"path": "/etc/passwd"}), {}, "block"),
        (
            ANA,
            ToolUse("github", "get_file", {"path": "/a", "n": 1.5, "none": None, "deep": [{"a": 2**70}]}),
            {},
            "pass",
        ),
    ],
)
async def test_decides(caller, tool, metadata, expected):
    assert await verdict(caller, tool, metadata) == expected


@pytest.mark.parametrize(
    "arguments",
    [{"path": 5}, {"path": {"__entity": {"type": "User", "id": "x"}}}, {"a": {"__extn": {"fn": "ip", "arg": "x"}}}],
)
async def test_what_cannot_be_decided_is_a_failure(arguments):
    """Cedar leaves out a policy that it cannot apply to a value of that kind, also one that forbids: a path that is a
    number would get past it."""
    with pytest.raises(UpstreamError):
        await verdict(ANA, ToolUse("github", "get_file", arguments))


async def test_nested_without_end():
    deep = {}
    for _ in range(100):
        deep = {"a": deep}

    with pytest.raises(UpstreamError, match="nested deeper"):
        await verdict(ANA, ToolUse("github", "get_file", deep))


async def test_where_there_is_no_tool():
    with pytest.raises(UpstreamError, match="no tool"):
        await verdict(ANA, None)


def test_policies_that_cannot_be_read():
    with pytest.raises(ValueError, match="policy: Cedar cannot read it"):
        cedar("permit(principal")


def test_is_asked_about_tools_alone():
    assert cedar().hooks == frozenset({Hook.MCP_PRE})
