"""What routing knows of a model: its candidates, and how to choose among them. Never changed."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from gateway.contract.provider import Target

Strategy = Literal["only", "weight", "latency", "priority", "complexity"]
Tier = Literal["simple", "medium", "complex"]
Source = Literal["headers", "metadata"]

NO_METADATA: Mapping[str, str] = {}
RETRIED = frozenset({429, 500, 502, 503})
FALLEN_BACK = frozenset({401, 403, 404, 408, 429, 500, 502, 503})


class Retry(msgspec.Struct, frozen=True):
    """How often one target is asked for one request. `attempts` counts the first try: 2 is one repetition."""

    attempts: int = 2
    delay_s: float = 0.1
    statuses: frozenset[int] = RETRIED


class Sla(msgspec.Struct, frozen=True):
    """Means above which a target is too slow to be asked first. None: any is good enough."""

    time_per_output_token_s: float | None = None
    time_to_first_token_s: float | None = None


class RouteTarget(msgspec.Struct, frozen=True):
    """One target of a route, and what is changed on the way to it: fields of the body, headers to set and to remove."""

    target: Target
    params: Mapping[str, msgspec.Raw] = {}
    set_headers: Mapping[str, str] = {}
    remove_headers: frozenset[str] = frozenset()


class Candidate(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One target a route may choose. It equals nothing but itself.

    `fallback_statuses` are those of its own answers after which another candidate is asked. One with `metadata_match`
    is only considered for requests whose metadata has all these pairs.
    """

    name: str
    """`account/model`; health is kept by it."""
    account: str
    variant: str = ""
    """Tells candidates of one route and name apart, for example two prompts that are compared on one model."""
    weight: float = 0
    priority: int = 0
    """The lowest is asked first."""
    sla: Sla | None = None
    tier: Tier | None = None
    retry: Retry = Retry()
    fallback_statuses: frozenset[int] = FALLEN_BACK
    takes_fallbacks: bool = True
    """False: it is asked when it is chosen, and not in the place of another."""
    metadata_match: Mapping[str, str] = NO_METADATA
    route_target: RouteTarget


class Sticky(msgspec.Struct, frozen=True):
    """A session stays with one target for `ttl_s`; then it is drawn again.

    `identifiers`, (source, key) each, make up a session together; those which a request lacks are left out.
    """

    ttl_s: float
    identifiers: tuple[tuple[Source, str], ...]

    def __post_init__(self) -> None:
        if not self.ttl_s > 0:
            raise ValueError(f"the ttl of a session must be above 0, not {self.ttl_s}")


class Route(msgspec.Struct, frozen=True):
    """A model a caller can name. The last two follow from the candidates."""

    name: str
    strategy: Strategy
    candidates: tuple[Candidate, ...]
    sticky: Sticky | None = None
    is_conditional: bool = False
    """Some candidate looks at the metadata."""
    is_choosy: bool = False
    """Some candidate takes no fallbacks."""

    def __post_init__(self) -> None:
        conditional = any(candidate.metadata_match for candidate in self.candidates)
        msgspec.structs.force_setattr(self, "is_conditional", conditional)
        choosy = not all(candidate.takes_fallbacks for candidate in self.candidates)
        msgspec.structs.force_setattr(self, "is_choosy", choosy)
