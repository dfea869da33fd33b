"""How much can be said to who takes OpenAI's chat."""

import msgspec


class Extent(msgspec.Struct, frozen=True):
    """
    Args:
        is_hub: all that the hub knows; its translators leave out what is too much for their vendors.
        has_reasoning: what servers of open models know.
    """

    is_hub: bool = False
    has_reasoning: bool = False
