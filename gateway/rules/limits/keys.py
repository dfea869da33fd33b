"""Names of counters: readable, bounded in length, and two of them equal only if all they are made of is.

    gateway-budget-config|budgets|eng-monthly#cost/month|user=ana@example.com
    tenant-rate-limit-config/model|org-cap#requests/minute

Up to the `#` it is the policy; then comes what is counted, and whom it is about.
"""

from collections.abc import Iterable
from hashlib import blake2b
from urllib.parse import quote

from gateway.contract.limits import Unit
from gateway.contract.windows import Window

MAX_PART_CHARS = 120
"""A longer part keeps its beginning, and a hash stands for all of it."""

_KEPT_CHARS = 40
_PLAIN = "/:@+,*"


def policy_key(type_: str, name: str, *rule: str) -> str:
    """Of a rule in a manifest of the first generation, or of a manifest of the second."""
    return "|".join(_part(part) for part in (type_, name, *rule))


def manifest_of(policy: str) -> str:
    """The policy without the rule, if there is one in it: as `policy_key` makes it of the manifest alone."""
    return "|".join(policy.split("|", 2)[:2])


def counter_key(policy: str, unit: Unit, window: Window, scopes: Iterable[tuple[str, str]]) -> str:
    """`scopes`: whom it is about, as (`user`, `ana@example.com`)."""
    about = "".join(f"|{_part(kind)}={_part(value)}" for kind, value in scopes)
    return f"{policy}#{unit}/{window}{about}"


def policy_of(key: str) -> str:
    """The policy that a counter belongs to."""
    return key.partition("#")[0]


def scope_text(scopes: Iterable[tuple[str, str]]) -> str:
    """For people: `user:ana@example.com, model:openai-main/gpt-4o`."""
    return ", ".join(f"{kind}:{_shown(value)}" for kind, value in scopes)


def _part(text: str) -> str:
    quoted = quote(text, safe=_PLAIN, errors="surrogatepass")
    if len(quoted) <= MAX_PART_CHARS:
        return quoted
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
    return f"{quoted[:_KEPT_CHARS]}!{digest}"  # `!` is always quoted, so no other part looks like this


def _shown(text: str) -> str:
    return text if len(text) <= MAX_PART_CHARS and text.isprintable() else _part(text)
