"""One thing that attacks on models say."""

from typing import NamedTuple


class Rule(NamedTuple):
    """`score`: 1 is enough by itself. Of several of one `kind`, which say the same otherwise, the highest counts."""

    name: str
    source: str
    score: float
    kind: str = ""
