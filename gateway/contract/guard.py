"""What looks at requests and at replies."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, Protocol

import msgspec

from gateway.contract.call import Call
from gateway.contract.caller import Caller
from gateway.contract.record import Outcome


class Hook(StrEnum):
    """When a guardrail is asked."""

    LLM_INPUT = "llm_input"
    LLM_OUTPUT = "llm_output"
    MCP_PRE = "mcp_tool_pre_invoke"
    MCP_POST = "mcp_tool_post_invoke"


class Text(msgspec.Struct, frozen=True, gc=False):
    """One piece of what is said, and by whom: `system`, `user`, `assistant`, `tool`."""

    role: str
    text: str


class Subject(msgspec.Struct, frozen=True, gc=False):
    """What a guardrail looks at.

    Args:
        texts: of the request, or of the answer; empty where nobody has asked for them.
        metadata: of the request, as limits and routes see it.
    """

    hook: Hook
    call: Call
    caller: Caller | None
    metadata: Mapping[str, str]
    texts: Sequence[Text] = ()


class Finding(msgspec.Struct, frozen=True, gc=False):
    """What a guardrail says.

    Args:
        verdict: `flag` is written down and stops nothing.
        message: for the caller, if it is blocked, and for the log.
        texts: what is to stand in place of the subject's; None: it stays.
        data: whatever else the guardrail found out, for the log.
    """

    verdict: Literal["pass", "flag", "block"] = "pass"
    message: str = ""
    texts: Sequence[Text] | None = None
    data: Any = None


class Guardrail(Protocol):
    """Looks at what goes in or comes out. Whoever asks it owns the order, the time limit, and what a failure means."""

    name: str
    hooks: frozenset[Hook]

    async def check(self, subject: Subject) -> Finding:
        """Raises anything: it could not tell."""


class Guard(Protocol):
    """Looks at a request before it is sent on, and may attach observers to the reply."""

    async def check(self, call: Call) -> "Sequence[Observer]":
        """Raises Blocked."""


class Observer(Protocol):
    """Looks at a reply while it passes.

    `chunk` sees the very bytes that go to the client; it must not wait or copy, and may raise Blocked. `end` is called
    exactly once, however the reply ends.
    """

    def chunk(self, data: bytes) -> None: ...

    def end(self, outcome: Outcome) -> None: ...
