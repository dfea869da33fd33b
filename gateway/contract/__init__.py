"""Everything a plugin needs: the protocols it implements and the values that cross them.

middleware  any ASGI app; entry point group `gateway.middlewares`
Provider    how to speak to one vendor; entry point group `gateway.providers`
Signer      what has to be waited for before a request can go out
Dialect     one client-facing API
Guardrail   judges or changes what is said; entry point group `gateway.guardrails`
Observer    looks at a reply while it passes
Counters    limits and budgets, taken and given back; in `gateway.contract.limits`
Tokens      who is calling
Sink        where request records go
"""

from gateway.contract.call import Ask, Call, Dialect, Head, Reading
from gateway.contract.caller import Caller, Credential, Tokens
from gateway.contract.guard import (
    Fetched,
    Finder,
    Finding,
    Guard,
    Guardrail,
    GuardrailSpec,
    Hook,
    Match,
    Observer,
    Outside,
    Subject,
    Text,
    ToolUse,
)
from gateway.contract.models import Choice, Classifier, Models
from gateway.contract.provider import (
    Endpoint,
    ListsModels,
    Provider,
    RelaysRefusals,
    Reply,
    ServesAccounts,
    Signer,
    Socket,
    Target,
    Tls,
    Upstream,
    UpstreamRequest,
)
from gateway.contract.record import Content, Outcome, Record, SideCall, Sink, Span
from gateway.contract.request import FormBody, FormPart, JsonBody, RawBody, Request, Stored, StreamBody
from gateway.contract.translator import Translator

__all__ = [
    "Ask",
    "Call",
    "Caller",
    "Choice",
    "Classifier",
    "Content",
    "Credential",
    "Dialect",
    "Endpoint",
    "Fetched",
    "Finder",
    "Finding",
    "FormBody",
    "FormPart",
    "Guard",
    "Guardrail",
    "GuardrailSpec",
    "Head",
    "Hook",
    "JsonBody",
    "ListsModels",
    "Match",
    "Models",
    "Observer",
    "Outcome",
    "Outside",
    "Provider",
    "RawBody",
    "Reading",
    "Record",
    "RelaysRefusals",
    "Reply",
    "Request",
    "ServesAccounts",
    "SideCall",
    "Signer",
    "Sink",
    "Socket",
    "Span",
    "Stored",
    "StreamBody",
    "Subject",
    "Target",
    "Text",
    "Tls",
    "Tokens",
    "ToolUse",
    "Translator",
    "Upstream",
    "UpstreamRequest",
]
