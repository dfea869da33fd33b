"""What strangers' bytes do to the parsers: server-sent events, AWS's frames, forms.

    python benchmarks/fuzz.py                             # each of them for a minute
    python benchmarks/fuzz.py frames --seconds 120
    python benchmarks/fuzz.py --guided                    # by coverage; needs `pip install atheris`

Inputs are made of good ones by chance, and come in pieces that are cut by chance. Told are crashes (what is raised is
none of the parser's own errors, or where the pieces are cut makes a difference), stalls (CPU time above what a piece
and a byte may take), and memory: the most that one input takes, and what is left when all are read.
"""

import argparse
import logging
import subprocess
import sys
import tracemalloc
from binascii import crc32
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from struct import pack
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from traceback import format_exc
from typing import NamedTuple

from gateway.errors import BadRequest, BrokeOff
from gateway.translators.reading import EventReading
from gateway.wire.form import FormReader
from gateway.wire.sse import EventSplitter

ROOT = Path(__file__).parent.parent
if (path := str(ROOT / "plugins" / "aws")) not in sys.path:
    sys.path.append(path)

from gateway_aws.frames import Frames, opened  # noqa: E402

MOST_BYTES = 256 * 1024
PIECE_S, BYTE_S, INPUT_S = 10e-6, 1e-6, 1e-3
"""CPU time that each may take, together. What grows with the square of the input is far above it at `MOST_BYTES`."""
SECONDS = 60.0


class Subject(NamedTuple):
    """
    Args:
        read: all pieces of one input; what it gives back depends on the bytes alone, and not on where they are cut.
        seeds: good inputs.
        words: what means something in them.
        dress: makes of any bytes an input that gets past the first checks.
    """

    read: Callable[[list[bytes]], object]
    seeds: list[bytes]
    words: list[bytes]
    dress: Callable[[bytes, Random], bytes] = lambda data, random: data


class Findings:
    """What was found in one subject."""

    def __init__(self) -> None:
        self.inputs = 0
        self.bytes = 0
        self.crashes: list[str] = []
        self.slowest = 0.0
        """The most CPU time that an input took, as a share of what it may take."""
        self.slowest_pieces: list[bytes] = []
        self.peak = 0.0
        """Bytes for each byte of an input, of a kilobyte or more."""
        self.kept = 0
        """Bytes, when all were read."""

    @property
    def is_clean(self) -> bool:
        return not self.crashes and self.slowest < 1


# --- subjects --------------------------------------------------------------------------------------------------------


def read_splitter(pieces: list[bytes]) -> object:
    splitter = EventSplitter()
    out = b"".join(event for piece in pieces for event in splitter.feed(piece)) + splitter.end()
    assert out == b"".join(pieces), "events put together are not the stream"
    return None


class Kept(EventReading):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bytes] = []

    def event(self, data: bytes) -> bytes:
        self.seen.append(data)
        return b""


def read_events(pieces: list[bytes]) -> object:
    reading = Kept()
    try:
        for piece in pieces:
            reading.feed(piece)
        reading.end()
    except BrokeOff:
        return reading.seen, "broke off"
    return reading.seen


def read_frames(pieces: list[bytes]) -> object:
    frames, seen = Frames(), []
    try:
        for piece in pieces:
            for frame in frames.feed(piece):
                seen.append(opened(frame))  # noqa: PERF401  those before a broken one count
    except BrokeOff:
        return seen, "broke off"
    return seen, frames.is_empty


def read_form(pieces: list[bytes]) -> object:
    """The first line is the content type."""
    kind, _, rest = b"".join(pieces).partition(b"\n")
    sizes = [len(piece) for piece in pieces]
    try:
        reader = FormReader(kind.decode("latin-1"))
        for begin, end in pairwise([0, *_sums(sizes, len(kind) + 1), len(rest)]):
            reader.feed(rest[begin:end])
        return reader.end()
    except BadRequest:
        return "refused"


def _sums(sizes: list[int], skipped: int) -> Iterator[int]:
    at = -skipped
    for size in sizes[:-1]:
        at += size
        if at > 0:
            yield at


def frame(headers: bytes, payload: bytes) -> bytes:
    prelude = pack(">II", 16 + len(headers) + len(payload), len(headers))
    whole = prelude + pack(">I", crc32(prelude)) + headers + payload
    return whole + pack(">I", crc32(whole))


def header(name: bytes, value: bytes) -> bytes:
    return pack(">B", len(name)) + name + pack(">BH", 7, len(value)) + value


def dressed_frame(data: bytes, random: Random) -> bytes:
    """With good lengths and checksums around headers and a payload of any kind."""
    at = random.randrange(len(data) + 1)
    return frame(data[: min(at, 1024)], data[at:])


EVENTS = b"".join(
    b"event: %b\ndata: %b\n\n" % pair for pair in [(b"ping", b'{"type":"ping"}'), (b"d", b'{"a":"\xc3\xbc"}')]
)
FRAME = frame(header(b":message-type", b"event") + header(b":event-type", b"messageStop"), b'{"stopReason":"end_turn"}')
FORM = b"""multipart/form-data; boundary=x
--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n\
--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n\
--x--\r\n"""
LINES = [b"\n\n", b"\r\n\r\n", b"\r\r", b"\r", b"\n", b"data:", b"data: [DONE]", b":", b"\xef\xbb\xbf", b"event: x"]
PARTS = [b"\r\n", b"\r\n\r\n", b"--x", b"--x--", b"\r\n--x\r\n", b'; name="', b"Content-Disposition: form-data", b"="]

SUBJECTS = {
    "splitter": Subject(read_splitter, [EVENTS, EVENTS.replace(b"\n", b"\r\n"), EVENTS.replace(b"\n", b"\r")], LINES),
    "events": Subject(read_events, [EVENTS, EVENTS.replace(b"\n", b"\r\n"), EVENTS.replace(b"\n", b"\r")], LINES),
    "frames": Subject(
        read_frames,
        [FRAME, FRAME * 2],
        [FRAME, b"\x07", b"\x00", b"\xff", b"\x0d:message-type", header(b":exception-type", b"x")],
        dressed_frame,
    ),
    "form": Subject(
        read_form,
        [FORM],
        PARTS,
        lambda data, random: b"multipart/form-data; boundary=x\n--x\r\n" + data,
    ),
}


# --- inputs ----------------------------------------------------------------------------------------------------------


def made(subject: Subject, random: Random) -> bytes:
    """A good input, changed in a few places."""
    data = bytearray(random.choice(subject.seeds))
    for _ in range(random.choice((1, 2, 4, 8, 16))):
        at = random.randrange(len(data) + 1)
        end = min(len(data), at + random.choice((1, 2, 8, 64)))
        match random.randrange(7):
            case 0 if data:
                data[at % len(data)] = random.randrange(256)
            case 1:
                data[at:at] = random.choice(subject.words)
            case 2:
                del data[at:end]
            case 3:
                data[at:at] = data[at:end] * random.choice((2, 16, 256, 1024))
            case 4:
                data[at:at] = random.choice(subject.words) * random.choice((2, 16, 256, 4096))
            case 5:
                data[at:at] = random.choice(subject.seeds)
            case 6:
                data[at:at] = random.randbytes(random.choice((1, 4, 16)))
        del data[MOST_BYTES:]
    return subject.dress(bytes(data), random) if random.random() < 0.5 else bytes(data)


def cut(data: bytes, random: Random) -> list[bytes]:
    """Sometimes into as many as may be, which takes the longest."""
    if random.random() < 0.1:
        size = 1 if len(data) < 4096 else 64
        return [data[at : at + size] for at in range(0, len(data), size)]
    places = sorted(random.randrange(len(data) + 1) for _ in range(random.choice((1, 2, 8, 64))))
    return [data[begin:end] for begin, end in pairwise([0, *places, len(data)])]


# --- running ---------------------------------------------------------------------------------------------------------


def tried(name: str, pieces: list[bytes]) -> str | None:
    """What is wrong with how these are read, if something is."""
    read, whole = SUBJECTS[name].read, b"".join(pieces)
    try:
        if read(pieces) != read([whole]):
            return f"{name} depends on where it is cut: {pieces!r:.2000}"
    except Exception:
        return f"{name} crashed on {pieces!r:.2000}\n{format_exc()}"
    return None


def timed_s(name: str, pieces: list[bytes]) -> float:
    began_s = process_time()
    SUBJECTS[name].read(pieces)
    return process_time() - began_s


def fuzz(name: str, random: Random, *, goes_on: Callable[[int], bool], is_timed: bool = True) -> Findings:
    """
    Args:
        goes_on: told how many inputs there were.
        is_timed: else its memory is looked at, which takes several times as long.
    """
    subject, found = SUBJECTS[name], Findings()
    if not is_timed:
        tracemalloc.start()
    at_first = 0
    while goes_on(found.inputs):
        pieces = cut(made(subject, random), random)
        size = sum(map(len, pieces))
        found.inputs += 1
        found.bytes += size
        if not is_timed:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
        if (wrong := tried(name, pieces)) is not None:
            found.crashes.append(wrong)
            continue
        if not is_timed:
            after, peak = tracemalloc.get_traced_memory()
            if size >= 1024:
                found.peak = max(found.peak, (peak - before) / size)
            if found.inputs == 200:  # by then, what is kept once is kept
                at_first = after
            found.kept = after - at_first if at_first else 0
            continue
        may_take_s = INPUT_S + PIECE_S * len(pieces) + BYTE_S * size
        share = timed_s(name, pieces) / may_take_s
        if share > found.slowest:  # perhaps by chance
            share = min(share, timed_s(name, pieces) / may_take_s, timed_s(name, pieces) / may_take_s)
        if share > found.slowest:
            found.slowest, found.slowest_pieces = share, pieces
    if not is_timed:
        tracemalloc.stop()
    return found


def until(end_s: float) -> Callable[[int], bool]:
    return lambda count: perf_counter() < end_s


def run(name: str, seconds: float, seed: int) -> bool:
    """Whether nothing is wrong."""
    found = fuzz(name, Random(seed), goes_on=until(perf_counter() + seconds * 3 / 4))
    memory = fuzz(name, Random(seed + 1), goes_on=until(perf_counter() + seconds / 4), is_timed=False)
    print(
        f"{name}: {found.inputs + memory.inputs} inputs, {(found.bytes + memory.bytes) / 1e6:.0f} MB; "
        f"{len(found.crashes) + len(memory.crashes)} crashes; at most {found.slowest:.0%} of the time it may take; "
        f"at most {memory.peak:.0f} bytes for each byte, {memory.kept / 1e3:.0f} kB kept"
    )
    if found.slowest >= 1:
        print(f"{name} stalls on {found.slowest_pieces!r:.2000}")
    for crash in [*found.crashes, *memory.crashes][:5]:
        print(crash)
    return found.is_clean and memory.is_clean


def guided(name: str, seconds: float, seed: int) -> bool:
    """By atheris, in a process of its own, which it ends. The first byte says how the rest is cut."""
    with TemporaryDirectory() as corpus:
        for number, data in enumerate(SUBJECTS[name].seeds):
            (Path(corpus) / str(number)).write_bytes(b"\x01" + data)
        command = [sys.executable, __file__, name, "--inside", corpus, "--seconds", f"{seconds}", "--seed", f"{seed}"]
        ended = subprocess.run(command, capture_output=True, text=True)
    lines = (ended.stdout + ended.stderr).splitlines()
    print(f"{name}, guided: {'clean' if ended.returncode == 0 else f'ended with {ended.returncode}'}")
    print("\n".join(lines[-2:] if ended.returncode == 0 else lines[-30:]))
    return ended.returncode == 0


def inside(name: str, corpus: str, seconds: float, seed: int) -> None:
    import atheris  # type: ignore[import-untyped]

    def one(data: bytes) -> None:
        if not data:
            return
        step = data[0] or len(data)
        rest = data[1:]
        if (wrong := tried(name, [rest[at : at + step] for at in range(0, len(rest), step)])) is not None:
            raise AssertionError(wrong)

    atheris.instrument_all()
    options = [f"-max_total_time={seconds:.0f}", f"-seed={seed}", "-max_len=4096", "-timeout=5", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, corpus], one)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*SUBJECTS, []], help="; ".join(SUBJECTS))
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guided", action="store_true", help="by coverage, with atheris")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = options.names or [*SUBJECTS]
    logging.disable()  # python-multipart warns of each form that is none
    if options.inside:
        inside(names[0], options.inside, options.seconds, options.seed)
        return
    one = guided if options.guided else run
    are_clean = [one(name, options.seconds, options.seed) for name in names]
    if not all(are_clean):
        sys.exit("something is wrong")


if __name__ == "__main__":
    main()
