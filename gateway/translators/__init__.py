"""Between the APIs of callers and those of providers.

OpenAI's chat API is the hub: each other API has one translator into it and each other format one out of it, and where
none leads from one to the other, two are joined. They are found by the entry point group `gateway.translators`.
"""

from collections.abc import Mapping
from functools import cache

from gateway.contract import Translator
from gateway.plugins import load_plugins
from gateway.translators.joined import Joined

GROUP = "gateway.translators"
HUB = "chat"


def translator(dialect: str, format: str) -> Translator | None:  # noqa: A002  the word of the trade
    """For callers of one API and a provider of another; None: there is none, and none can be made of two."""
    return find(installed(), dialect, format)


def find(known: Mapping[tuple[str, str], Translator], dialect: str, format: str) -> Translator | None:  # noqa: A002
    """
    Args:
        known: (dialect, format) -> the one between them.
    """
    if direct := known.get((dialect, format)):
        return direct
    first, second = known.get((dialect, HUB)), known.get((HUB, format))
    return Joined(first, second) if first is not None and second is not None else None


@cache
def installed() -> Mapping[tuple[str, str], Translator]:
    made: list[Translator] = [make() for make in load_plugins(GROUP).values()]
    return {(each.dialect, each.format): each for each in made}
