"""What Anthropic's API says besides answers: versions and features, usage, errors.

Source: platform.claude.com/docs/en/api/messages, /api/versioning, /api/beta-headers, /api/errors and
/build-with-claude/prompt-caching; read 2026-11.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Self

import msgspec

from gateway.contract.call import Call
from gateway.contract.usage import Usage, count_of, whole_of
from gateway.errors import Refused
from gateway.wire.openai_failures import told

STATUSES: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Type of an error -> the status it has when it comes instead of a reply."""
TIERS = {"standard": "default", "priority": "priority", "batch": "batch"}
"""Anthropic's names of service tiers -> OpenAI's, by which prices go."""
VERSION, BETA = "anthropic-version", "anthropic-beta"
BETAS = "anthropic_beta"
"""The field that is on clouds what the header is at Anthropic."""


def headers_for(
    asked: Mapping[str, str], *, betas: Iterable[str] = (), refused: Collection[str] = ()
) -> dict[str, str]:
    """Which version of the API, and which features of it, a provider is asked for.

    Args:
        asked: the caller's headers; the version in them goes on as it is.
        betas: features that the account asks for with every request.
        refused: names of those that the provider would refuse; with `*` at the end, all that begin so.
    """
    names = [*betas, *(name.strip() for name in asked.get(BETA, "").split(","))]
    kept = dict.fromkeys(name for name in names if name and not _is_among(name, refused))
    headers = {VERSION: asked[VERSION]} if asked.get(VERSION) else {}
    return {**headers, BETA: ",".join(kept)} if kept else headers


def with_betas(call: Call, patterns: Collection[str]) -> Call:
    """The same, and those features of the caller's header in its body, where clouds have them: for names that a
    platform has come to know since this was written.

    Args:
        patterns: names; with `*` at the end, all that begin so.
    """
    named = [name for each in call.request.headers.get(BETA, "").split(",") if (name := each.strip())]
    named = [name for name in named if _is_among(name, patterns)] if patterns else []
    if not named:
        return call
    try:
        own = msgspec.json.decode(call.fields[BETAS], type=list[str]) if BETAS in call.fields else []
    except (msgspec.DecodeError, RecursionError):
        return call  # which will be refused
    told = msgspec.Raw(msgspec.json.encode([*dict.fromkeys([*own, *named])]))
    return call.with_fields({**call.fields, BETAS: told})


def _is_among(name: str, patterns: Iterable[str]) -> bool:
    return any(name == each or (each.endswith("*") and name.startswith(each[:-1])) for each in patterns)


class TokenUsage(msgspec.Struct):
    """`usage` on the wire. `input_tokens` are those that come from no cache and go into none; `output_tokens` are all,
    thinking included. In a stream it is told twice, and counts from the beginning each time.

    Others speak this API too, and not all of them well: a broken count costs only itself, not the answer.
    """

    input_tokens: Any = None
    output_tokens: Any = None
    cache_creation_input_tokens: Any = None
    cache_read_input_tokens: Any = None
    cache_creation: Any = None
    output_tokens_details: Any = None
    server_tool_use: Any = None
    service_tier: Any = None

    @classmethod
    def of(cls, said: object) -> Self | None:
        """None: it is no object."""
        return msgspec.convert(said, cls) if isinstance(said, Mapping) else None

    def over(self, earlier: Self | None) -> Self:
        """This, which was told later; what it does not tell is as it was told before, and 0 replaces no count."""
        if earlier is None:
            return self
        told = {name: value for name in self.__struct_fields__ if (value := getattr(self, name))}
        return msgspec.structs.replace(earlier, **told)

    @property
    def tells_output(self) -> bool:
        return whole_of(self.output_tokens) is not None

    @property
    def usage(self) -> Usage | None:
        """None: it counts nothing, so it is as if there were none."""
        written, read = count_of(self.cache_creation_input_tokens), count_of(self.cache_read_input_tokens)
        hour = min(written, _part(self.cache_creation, "ephemeral_1h_input_tokens"))
        output = count_of(self.output_tokens)
        reasoning = min(output, _part(self.output_tokens_details, "thinking_tokens"))
        tells_input = bool(written or read) or whole_of(self.input_tokens) is not None
        if not tells_input and not self.tells_output:
            return None
        return Usage(
            input=count_of(self.input_tokens),
            cache_read=read,
            cache_write=written - hour,
            cache_write_1h=hour,
            output=output - reasoning,
            reasoning=reasoning,
            searches=_part(self.server_tool_use, "web_search_requests"),
            untold="output" if not self.tells_output else None if tells_input else "input",
        )


def _part(details: object, name: str) -> int:
    return count_of(details.get(name)) if isinstance(details, Mapping) else 0


def tier_of(usage: TokenUsage | None) -> str | None:
    said = usage.service_tier if usage is not None else None
    return TIERS.get(said, said) if isinstance(said, str) and said else None


def error_of(said: Any) -> Refused:
    """What an error says that came instead of a reply, or in the middle of it. It has no body."""
    error = told(said, None)
    inner = said.get("error") if isinstance(said, dict) else None
    kind = inner.get("type") if isinstance(inner, dict) else None
    if isinstance(kind, str):
        error.status, error.code = STATUSES.get(kind, error.status), kind
    return error
