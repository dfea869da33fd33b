"""What looks at requests and at replies."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, Protocol

import msgspec

from gateway.contract.call import Call
from gateway.contract.caller import Caller
from gateway.contract.provider import Upstream, UpstreamRequest
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


class Fetched(msgspec.Struct, frozen=True, gc=False):
    """What a service answered, whole."""

    status: int
    body: bytes


class Outside(Protocol):
    """What a guardrail may reach: the network that its manifest may use, and the models of this gateway."""

    network: Upstream

    async def fetch(self, request: UpstreamRequest) -> Fetched:
        """Of an answer at most 1 MiB. Raises UpstreamError: the service cannot be reached, or broke off."""

    async def ask(self, model: str, body: Mapping[str, Any], *, kind: str = "chat") -> bytes:
        """The whole answer of a model to a call of the guardrail's own, which is paid for with the request.

        Args:
            model: `account/model`, or an alias.
            body: as in the API of that `kind`, without the model.

        Raises:
            GatewayError: there is no such model, or it did not answer.
        """


class ToolUse(msgspec.Struct, frozen=True, gc=False):
    """A tool that is to be used, or was: of which MCP server, and with what."""

    server: str
    name: str
    arguments: Mapping[str, Any] = {}


class Subject(msgspec.Struct, frozen=True, gc=False):
    """What a guardrail looks at.

    Args:
        call: None: it is no request for a model, but texts to be tried, or what a tool is given.
        metadata: of the request, as limits and routes see it.
        texts: of the request, or of the answer: what is said, and not names, addresses of pictures or settings.
        answer: the whole answer as JSON, as far as there is one: an answer that is a stream has texts alone.
        tool: of hooks about tools, as far as it is known.
    """

    hook: Hook
    call: Call | None
    caller: Caller | None
    metadata: Mapping[str, str]
    texts: Sequence[Text] = ()
    answer: Any = None
    outside: Outside | None = None
    tool: ToolUse | None = None


class Finding(msgspec.Struct, frozen=True, gc=False):
    """What a guardrail says.

    Args:
        verdict: `flag` is written down and stops nothing.
        message: for the caller, if it is blocked, and for the log.
        texts: what is to stand in place of the subject's, one for each; None: they stay.
        body: what is to stand in place of the whole request or answer, instead of `texts`.
        data: whatever else the guardrail found out: names and numbers, for the log. Nothing of the texts.
    """

    verdict: Literal["pass", "flag", "block"] = "pass"
    message: str = ""
    texts: Sequence[str] | None = None
    body: Mapping[str, Any] | None = None
    data: Any = None


class Guardrail(Protocol):
    """Looks at what goes in or comes out. Whoever asks it owns the order, the time limit, and what a failure means."""

    name: str
    hooks: frozenset[Hook]

    async def check(self, subject: Subject) -> Finding:
        """Raises anything: it could not tell."""


class Match(msgspec.Struct, frozen=True, gc=False, order=True):
    """Something that was found in a text, from `start` to `end`. `label`: what it is; `replacement`: in its place, for
    who redacts."""

    start: int
    end: int
    label: str
    replacement: str


class Finder(Protocol):
    """Finds things in a text that is still growing, in time that grows with its length and no faster."""

    def find(self, text: str, start: int) -> Iterator[Match]:
        """All from there on. What stands before it is there to be looked back at."""

    def open_from(self, text: str, start: int) -> int:
        """From where on something may begin that what follows will complete, at least `start`. What is found from
        there on may still change; what is found before it may only become longer, if it reaches the end."""


class FindsInText(Protocol):
    """What a `Guardrail` may have besides, if all it does is to find things in texts. It is then asked about streams as
    they pass, with little held back; others have them held back in larger pieces.

    Args:
        redacts: what is found is replaced; else it is a reason to block.
    """

    finder: Finder
    redacts: bool


class GuardrailSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a guardrail is made of.

    Args:
        name: `<group>/<name>`
        kind: the last part of its type.
        config: as its manifest has it; of kinds that are built in, a struct.
        auth: its credentials, likewise.
        target: `request` or `response`, of those that are for one of them.
    """

    name: str
    kind: str
    redacts: bool = False
    config: Any = None
    auth: Any = None
    target: str | None = None


MakeGuardrail = Callable[[GuardrailSpec], Guardrail]
"""What a plugin names by an entry point in the group `gateway.guardrails`, whose name is the kind. Raises ValueError,
worded for the operator, when it cannot be used."""


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
