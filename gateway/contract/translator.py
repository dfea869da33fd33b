"""From one API to another."""

from typing import Protocol

from gateway.contract.call import Call, Head, Reading
from gateway.contract.request import Body


class Translator(Protocol):
    """Puts calls of one dialect into another format, and the replies in that format into the dialect. No I/O.

    OpenAI's chat API is the hub: there is one for each dialect into it, and one for each format out of it, and two of
    them are joined where no other leads all the way.
    """

    dialect: str
    """Of the callers, as in `Dialect.name`."""
    format: str
    """Of the provider; for that of a dialect, its name."""

    def request(self, call: Call, model: str) -> Body:
        """The body for the provider. What was left out is in its `dropped_params`.

        Args:
            model: the provider's own name for it.

        Raises:
            BadRequest: it asks for something that cannot be said there.
        """

    def reading(self, call: Call, head: Head) -> Reading:
        """How the reply is read, whose `content_type` and bytes are the dialect's."""
