"""Lets go of what is large without holding up the event loop."""

import gc
import sys
from typing import Any

ONLY_HERE = 2
"""References to an object that is held by a variable alone, as `sys.getrefcount` counts."""


def release(held: list[Any]) -> None:
    """Empties the list, and frees bit by bit what nobody else holds.

    Python frees an object at once with all that it alone holds, and no other thread runs meanwhile. So this takes
    containers apart from the outside in, in a thread of its own.
    """
    while held:
        item = held.pop()
        if sys.getrefcount(item) <= ONLY_HERE:
            held += gc.get_referents(item)
