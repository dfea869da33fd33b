"""The process that looks at texts: `python -m gateway_presidio.worker`, with a socket in place of standard input.

It ends when the gateway does, or when it takes far longer for texts than it may, so that none is left behind.
"""

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway_presidio.config import PresidioConfig
from gateway_presidio.frames import Answer, Ready, receive, send


class Engine(Protocol):
    """Looks at texts."""

    def check(self, texts: Sequence[str]) -> Answer: ...


def main(make: Callable[[PresidioConfig], Engine]) -> None:
    """Until the gateway has gone.

    Args:
        make: an engine, which may take as long as `start_timeout_ms`.
    """
    # Whatever a library prints must not get between two frames, nor texts into a log.
    sock = socket.socket(fileno=os.dup(0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    try:
        _serve(sock, make)
    except (EOFError, OSError):
        sys.exit(0)


def _serve(sock: socket.socket, make: Callable[[PresidioConfig], Engine]) -> None:
    config = receive(sock, PresidioConfig)
    try:
        engine = make(config)
    except Exception as error:
        send(sock, Ready(f"{type(error).__name__}: {error}"))
        return
    send(sock, Ready())
    while True:
        texts = receive(sock, list[str])
        # The gateway ends who is late. This is for when it cannot, because it was killed itself.
        signal.setitimer(signal.ITIMER_REAL, 2 * config.timeout_ms / 1000 + 1)
        answer = _checked(engine, texts)
        signal.setitimer(signal.ITIMER_REAL, 0)
        send(sock, answer)


def _checked(engine: Engine, texts: Sequence[str]) -> Answer:
    try:
        return engine.check(texts)
    except Exception as error:
        return Answer(problem=type(error).__name__)  # its words may repeat the texts


if __name__ == "__main__":
    from gateway_presidio.engine import PresidioEngine

    main(PresidioEngine)
