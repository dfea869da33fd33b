"""Answers that are passed on to the byte, but for what is secret: some servers repeat the headers they were sent."""

from collections.abc import Iterable

from gateway.wire.plain import PlainReading


class HidingReading(PlainReading):
    """Stars stand in the place of secrets, as many as there were bytes: lengths that were told stay true. What may be
    the beginning of one is held back until more has come.

    Args:
        secrets: none is empty.
    """

    def __init__(self, secrets: Iterable[bytes]) -> None:
        super().__init__()
        self._secrets = tuple(secrets)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data = self.hidden(self._held + super().feed(data))
        held = max((_beginning_at_the_end(data, secret) for secret in self._secrets), default=0)
        self._held = data[len(data) - held :]
        return data[: len(data) - held] if held else data

    def end(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def hidden(self, data: bytes) -> bytes:
        for secret in self._secrets:
            if secret in data:
                data = data.replace(secret, b"*" * len(secret))
        return data


def _beginning_at_the_end(data: bytes, secret: bytes) -> int:
    """How many bytes of a secret the data ends with, without all of it."""
    at = max(0, len(data) - len(secret) + 1)
    while (at := data.find(secret[:1], at)) >= 0:
        if secret.startswith(data[at:]):
            return len(data) - at
        at += 1
    return 0
