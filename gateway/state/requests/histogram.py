"""How long things took, counted in fixed bins, so that counts of minutes, replicas and models can be added up.

The ends of a bin differ by the square root of 2, and within one a percentile is placed by the logarithm: what is said
of it is at most 41 % off, and as a rule less than 10.
"""

from bisect import bisect_left
from collections.abc import Sequence

import msgspec


class Scale(msgspec.Struct, frozen=True):
    """`bins` of them. The first holds what took `first_ms` or less, the last all that took longer than the others.

    `name` is the beginning of the columns that hold the counts.
    """

    name: str
    first_ms: float
    bins: int
    ends_ms: tuple[float, ...] = ()
    """Derived: of all bins but the last. What took as long as an end is in the bin that it ends."""

    def __post_init__(self) -> None:
        ends = (self.first_ms * 2 ** (number / 2) for number in range(self.bins - 1))
        msgspec.structs.force_setattr(self, "ends_ms", tuple(ends))

    def bin_of(self, ms: float) -> int:
        return bisect_left(self.ends_ms, ms)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"{self.name}_{number}" for number in range(self.bins))

    def percentile_ms(self, counts: Sequence[int], share: float) -> float | None:
        """What `share` (from 0 to 1) of all took no longer than; None: there are none. `counts`: of each bin."""
        total = sum(counts)
        if not total:
            return None
        wanted, before = max(share * total, 1e-9), 0
        for number, count in enumerate(counts):
            if before + count >= wanted:
                within = (wanted - before) / count
                return float(self.first_ms * 2 ** ((number - 1 + within) / 2))
            before += count
        raise AssertionError("the counts do not sum up to their sum")


LATENCY = Scale("latency", 1.0, 42)
"""From 1 ms to 17 minutes."""
FIRST_TOKEN = Scale("first_token", 1.0, 42)
PER_TOKEN = Scale("per_token", 0.125, 34)
"""From an eighth of a millisecond to 8 seconds."""
SCALES = (LATENCY, FIRST_TOKEN, PER_TOKEN)
