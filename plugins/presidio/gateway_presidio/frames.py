"""What the gateway and its workers say to each other: four bytes of length, and as many of JSON."""

import socket
from collections.abc import Callable
from typing import TypeVar

import msgspec

MAX_FRAME_BYTES = 64 * 1024 * 1024

T = TypeVar("T")


class Ready(msgspec.Struct, frozen=True):
    """The first thing that a worker says. `problem`: why it cannot work, for the operator."""

    problem: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """What was found: entity -> how often, and the texts without it. `problem`: the texts could not be looked at; it
    has nothing of them."""

    found: dict[str, int] = {}
    texts: list[str] = []
    problem: str | None = None


def send(sock: socket.socket, value: object) -> None:
    """Raises OSError, of which TimeoutError is one; ValueError: it is too long."""
    data = msgspec.json.encode(value)
    if len(data) > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {len(data):,} bytes")
    sock.sendall(len(data).to_bytes(4, "big") + data)


def receive(sock: socket.socket, kind: type[T], *, before: Callable[[], None] = lambda: None) -> T:
    """`before`: called each time before it waits for more.

    Raises:
        EOFError: the other one has gone.
        OSError: among them TimeoutError.
        ValueError: it says something else.
    """
    size = int.from_bytes(_exactly(sock, 4, before), "big")
    if size > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {size:,} bytes")
    return msgspec.json.decode(_exactly(sock, size, before), type=kind)


def _exactly(sock: socket.socket, size: int, before: Callable[[], None]) -> bytes:
    data = bytearray()
    while len(data) < size:
        before()
        piece = sock.recv(min(size - len(data), 1024 * 1024))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)
