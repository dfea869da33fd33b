"""The load client: asks, checks every answer, and prints what it measured as one line of JSON.

It reads the CPU clock of the measured process itself, at the moments at which it starts and stops counting. An answer
that is not complete and right ends it with an error.
"""

import argparse
import asyncio
import json
import os
import re
import sys
from array import array
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import count
from signal import SIGCONT, SIGSTOP
from time import monotonic_ns, process_time
from typing import Any, NamedTuple, TypeVar, cast

import uvloop
from lanes import ARRIVING_S
from proc import cpu_s, worked_s

WARM_UP_S = 0.5
PATIENCE_S = 60
ARRIVALS_PER_S = 160
ARRIVALS_PER_S_BESIDES = 50
"""While other streams run."""
ARRIVING_CONNECTIONS = 32
TEXT = (
    'The seller shall deliver the goods at the place named in § 4, and tell the buyer "without undue delay".\n'
    "Café, naïve, 東京: what is not ASCII is sent as it is, as the clients of OpenAI do.\n\n"
)
STAMP = re.compile(rb'"content": ?" (\d{19})"')


class WrongAnswer(Exception):
    """The subject did not answer as the mock provider did."""


class Clocks(NamedTuple):
    """Seconds: of the wall, of the CPU that three processes have used, and that the subject's core and those of all
    others have worked, for whomever."""

    wall: float
    subject: float
    mock: float
    client: float
    core: float
    other_cores: float


class Tally:
    """What the connections of one run have counted. `failed` gets the first error."""

    def __init__(self) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.replies = 0
        self.events = 0
        self.times_ns = array("q")
        self.firsts_ns = array("q")
        self.gaps_ns = array("q")
        self.delays_ns = array("q")

    def reset(self) -> None:
        self.replies = self.events = 0
        for name in ("times_ns", "firsts_ns", "gaps_ns", "delays_ns"):
            setattr(self, name, array("q"))

    def fail(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not self.failed.done():
            self.failed.set_exception(context.get("exception") or WrongAnswer(context["message"]))


class Reply:
    """Reads one HTTP/1.1 reply as it arrives."""

    def __init__(self) -> None:
        self.complete = False
        self.closes = False
        """No other request may follow on this connection."""
        self._head_read = False
        self._chunked = False
        self._left = 0
        self._received = b""

    def feed(self, data: bytes) -> bytes:
        """Takes what was received, returns the content in it."""
        self._received += data
        if not self._head_read:
            head, separator, rest = self._received.partition(b"\r\n\r\n")
            if not separator:
                return b""
            self._read_head(head, rest)
            self._received = rest
        return self._take_chunks() if self._chunked else self._take_plain()

    def _read_head(self, head: bytes, rest: bytes) -> None:
        if head[9:12] != b"200":
            raise WrongAnswer(f"{head.decode()}\n\n{rest.decode()}")
        self._head_read = True
        head = head.lower()
        self.closes = b"\r\nconnection: close" in head
        self._chunked = b"\r\ntransfer-encoding: chunked" in head
        if not self._chunked:
            self._left = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])

    def _take_plain(self) -> bytes:
        content, self._received = self._received, b""
        self._left -= len(content)
        self.complete = self._left <= 0
        return content

    def _take_chunks(self) -> bytes:
        content, position, received = [], 0, self._received
        while (line_end := received.find(b"\r\n", position)) >= 0:
            size = int(received[position:line_end], 16)
            end = line_end + 2 + size
            if len(received) < end + 2:
                break
            content.append(received[line_end + 2 : end])
            position = end + 2
            self.complete = size == 0
        self._received = received[position:]
        return b"".join(content)


class Asker(asyncio.Protocol):
    """A keep-alive connection that asks again as soon as it has a whole answer that is not streamed."""

    def __init__(self, tally: Tally, request: bytes) -> None:
        self.tally = tally
        self.request = request
        self.reply = Reply()
        self.content = b""
        self.asked_ns = 0
        self.transport = cast("asyncio.Transport", None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self.reply.closes:  # the one before was used up
            self.ask()

    async def connect_again(self, host: str, port: int) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, host, port)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.asked_ns and not self.reply.complete:
            raise WrongAnswer(f"the connection was closed before the answer was complete: {exc}")

    def ask(self) -> None:
        self.reply = Reply()
        self.content = b""
        self.asked_ns = monotonic_ns()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.read(self.reply.feed(data))
        if self.reply.complete:
            self.finish()

    def read(self, content: bytes) -> None:
        self.content += content

    def finish(self) -> None:
        self.tally.times_ns.append(monotonic_ns() - self.asked_ns)
        if not (
            self.content.startswith(b'{"id":') and b'"usage"' in self.content and self.content.rstrip().endswith(b"}")
        ):
            raise WrongAnswer(f"not a chat completion: {self.content!r}")
        self.tally.replies += 1
        if self.reply.closes:
            host, port = self.transport.get_extra_info("peername")[:2]
            self.transport.close()
            self._connecting = asyncio.create_task(self.connect_again(host, port))
        else:
            self.ask()


class Stream(Asker):
    """A connection for one streamed answer of `expected` events, whose arrival it times."""

    def __init__(self, tally: Tally, request: bytes, expected: int, *, tells_usage: bool = False) -> None:
        super().__init__(tally, request)
        # Finish reason, usage if it was asked for, and [DONE] follow the events with content.
        self.expected = expected + (3 if tells_usage or b'"include_usage"' in request else 2)
        self.events = 0
        self.last_ns = 0

    def read(self, content: bytes) -> None:
        complete, separator, rest = (self.content + content).rpartition(b"\n\n")
        self.content = rest
        if separator:
            self.note(complete, complete.count(b"\n\n") + 1)
            # Kept for the check at the end.
            self.last = complete

    def note(self, complete: bytes, count: int) -> None:
        now_ns = monotonic_ns()
        tally = self.tally
        if self.last_ns:
            tally.gaps_ns.append(now_ns - self.last_ns)
            tally.gaps_ns.extend([0] * (count - 1))
        self.last_ns = now_ns
        for stamp in STAMP.findall(complete):
            tally.delays_ns.append(now_ns - int(stamp))
        self.events += count
        tally.events += count

    def finish(self) -> None:
        if self.events != self.expected or self.content or not self.last.endswith(b"data: [DONE]"):
            raise WrongAnswer(f"{self.events} of {self.expected} events, the last: {self.last[-200:]!r}")
        self.tally.replies += 1


class BurstStream(Stream):
    """Asks for the next stream when one is complete; times nothing."""

    def note(self, complete: bytes, count: int) -> None:
        self.events += count
        self.tally.events += count

    def finish(self) -> None:
        super().finish()
        self.events = 0
        self.ask()


class ShortStream(Stream):
    """Asks for a stream of one event when it is told to, and times how long that event takes."""

    @property
    def is_idle(self) -> bool:
        return not self.asked_ns or self.reply.complete

    def note(self, complete: bytes, count: int) -> None:
        if not self.events:
            self.tally.firsts_ns.append(monotonic_ns() - self.asked_ns)
        self.events += count

    def finish(self) -> None:
        super().finish()
        self.events = 0


Connection = TypeVar("Connection", bound=Asker)
StreamKind = TypeVar("StreamKind", bound=Stream)


class Run:
    """Connections to one subject, and the measuring of a stretch of time."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.subject_cores = os.sched_getaffinity(options.pid)
        self.other_cores = os.sched_getaffinity(0)
        self.tally = Tally()
        asyncio.get_running_loop().set_exception_handler(self.tally.fail)

    def request(self, model: str, *, stream: bool) -> bytes:
        body: dict[str, Any] = {
            "model": self.options.prefix + model,
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": prompt(self.options.prompt_bytes)},
            ],
            "max_tokens": 1024,
        }
        if stream:
            body["stream"] = True
        if stream and self.options.usage:
            body["stream_options"] = {"include_usage": True}
        content = json.dumps(body, ensure_ascii=False).encode()
        head = [
            "POST /v1/chat/completions HTTP/1.1",
            f"host: 127.0.0.1:{self.options.port}",
            "content-type: application/json",
            f"content-length: {len(content)}",
            *([f"authorization: Bearer {self.options.token}"] if self.options.token else []),
        ]
        return "\r\n".join([*head, "", ""]).encode() + content

    async def connect(self, make: Callable[[], Connection], connections: int = 0) -> list[Connection]:
        loop = asyncio.get_running_loop()
        port = self.options.port
        many = connections or self.options.connections
        return [(await loop.create_connection(make, "127.0.0.1", port))[1] for _ in range(many)]

    def stream(self, model: str, expected: int, kind: type[StreamKind], tally: Tally) -> Callable[[], StreamKind]:
        return partial(kind, tally, self.request(model, stream=True), expected, tells_usage=self.options.tells_usage)

    async def short_streams(self, connections: int, tally: Tally) -> list[ShortStream]:
        """Each has been asked for one already: what a connection costs is not what is timed."""
        streams = await self.connect(self.stream("burst-1", 1, ShortStream, tally), connections)
        for each in streams:
            each.ask()
        await self.until(lambda: all(each.is_idle for each in streams))
        tally.reset()
        return streams

    async def pause(self, seconds: float) -> None:
        """Waits, and raises the error of a connection that fails meanwhile."""
        await asyncio.wait([self.tally.failed], timeout=seconds)
        if self.tally.failed.done():
            self.tally.failed.result()

    async def until(self, condition: Callable[[], bool]) -> None:
        deadline_ns = monotonic_ns() + PATIENCE_S * 10**9
        while not condition():
            if monotonic_ns() > deadline_ns:
                raise WrongAnswer(
                    f"not done in {PATIENCE_S} s; {self.tally.events} events, {self.tally.replies} answers"
                )
            await self.pause(0.02)

    def clocks(self) -> Clocks:
        return Clocks(
            wall=monotonic_ns() / 1e9,
            subject=cpu_s(self.options.pid),
            mock=cpu_s(self.options.mock_pid),
            client=process_time(),
            core=worked_s(self.subject_cores),
            other_cores=worked_s(self.other_cores) / len(self.other_cores),
        )

    async def spend(self, seconds: float, *, until: Callable[[], bool] = bool) -> Clocks:
        """Lets the connections work with a fresh tally, so long or until something is true; returns the time used."""
        self.tally.reset()
        with frozen(self.options.freeze):
            before = self.clocks()
            end_ns = monotonic_ns() + seconds * 1e9
            await self.until(lambda: until() or monotonic_ns() > end_ns)
            spent = Clocks(*(late - early for late, early in zip(self.clocks(), before, strict=True)))
        if not (self.tally.replies or self.tally.events):
            raise WrongAnswer(f"not one answer or event in {seconds} s")
        return spent


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Inside, the process does nothing. 0: there is none."""
    if not pid:
        yield
        return
    os.kill(pid, SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, SIGCONT)


@asynccontextmanager
async def arriving(streams: Sequence[ShortStream], per_s: float) -> AsyncIterator[None]:
    """Inside, so many streams are asked for in a second, each by the next connection, unless that still waits."""

    async def arrive() -> None:
        begin_ns = monotonic_ns()
        for number in count():
            await asyncio.sleep(begin_ns / 1e9 + number / per_s - monotonic_ns() / 1e9)
            stream = streams[number % len(streams)]
            if stream.is_idle:
                stream.ask()

    arrivals = asyncio.create_task(arrive())
    try:
        yield
    finally:
        arrivals.cancel()


def prompt(size: int) -> str:
    """So many bytes or a few more, in paragraphs."""
    return TEXT * -(-size // len(TEXT.encode())) if size else "Hello!"


def percentile(values: Sequence[int], share: float) -> float:
    return float(sorted(values)[min(len(values) - 1, int(len(values) * share))])


def busy(spent: Clocks) -> dict[str, float]:
    """Shares of a core: of the subject, of all on the subject's core, and what others took of it.

    The client's is that of the busiest: of the mock, of this client, or of all their cores together.
    """
    return {
        "subject_busy": spent.subject / spent.wall,
        "core_busy": max(spent.subject, spent.core) / spent.wall,
        "client_busy": max(spent.mock, spent.client, spent.other_cores) / spent.wall,
        "others_busy": max(0.0, spent.core - spent.subject) / spent.wall,
    }


async def ask(run: Run) -> dict[str, float]:
    """Plain requests, each connection with one under way at all times."""
    request = run.request(run.options.model, stream=False)
    askers = await run.connect(lambda: Asker(run.tally, request))
    for asker in askers:
        asker.ask()
    await run.pause(WARM_UP_S)
    spent = await run.spend(run.options.seconds)
    tally = run.tally
    return {
        "per_s": tally.replies / spent.wall,
        "cpu_us": spent.subject / tally.replies * 1e6,
        "p50_us": percentile(tally.times_ns, 0.5) / 1e3,
        "p99_us": percentile(tally.times_ns, 0.99) / 1e3,
        **busy(spent),
    }


async def arrive(run: Run) -> dict[str, float]:
    """Streams of one event, so many a second whether those before are complete or not."""
    tally = run.tally
    streams = await run.short_streams(run.options.connections, tally)
    async with arriving(streams, ARRIVALS_PER_S):
        await run.pause(WARM_UP_S)
        spent = await run.spend(run.options.seconds)
        replies = tally.replies
    await run.until(lambda: all(each.is_idle for each in streams))
    return {
        "per_s": replies / spent.wall,
        "cpu_us": spent.subject / replies * 1e6,
        **times_to_first(tally),
        **busy(spent),
    }


def times_to_first(tally: Tally) -> dict[str, float]:
    times_ns = tally.firsts_ns
    return {
        "ttft_p50_ms": percentile(times_ns, 0.5) / 1e6,
        "ttft_p99_ms": percentile(times_ns, 0.99) / 1e6,
        "ttft_max_ms": max(times_ns) / 1e6,
    }


async def stream(run: Run) -> dict[str, float]:
    """Paced streams side by side. The time measured begins when all have begun, and ends before one is complete.

    Then, while they still run, others are asked for, and it is timed when those begin.
    """
    model, seconds = run.options.model, run.options.seconds
    per_s, lasting_s = (int(number) for number in model.removeprefix("paced-").split("x"))
    tally, arrivals = run.tally, Tally()
    short = await run.short_streams(ARRIVING_CONNECTIONS, arrivals)
    streams = await run.connect(run.stream(model, 1 + per_s * lasting_s, Stream, tally))
    for each in streams:
        each.ask()
    await run.until(lambda: all(each.events > 1 for each in streams))
    await run.pause(WARM_UP_S)
    spent = await run.spend(seconds, until=lambda: tally.replies > 0)
    result = {
        "per_s": tally.events / spent.wall,
        "cpu_us": spent.subject / tally.events * 1e6,
        "gap_p50_ms": percentile(tally.gaps_ns, 0.5) / 1e6,
        "gap_p99_ms": percentile(tally.gaps_ns, 0.99) / 1e6,
        "gap_max_ms": max(tally.gaps_ns) / 1e6,
        "delay_p50_ms": percentile(tally.delays_ns, 0.5) / 1e6,
        "delay_p99_ms": percentile(tally.delays_ns, 0.99) / 1e6,
        **busy(spent),
    }
    async with arriving(short, ARRIVALS_PER_S_BESIDES):
        await run.pause(min(seconds, ARRIVING_S))
    if spent.wall < seconds / 2 or tally.replies:
        raise WrongAnswer("some streams ended soon after the last had begun; the machine is too slow or too busy")
    await run.until(lambda: all(each.is_idle for each in short))
    await run.until(lambda: all(each.reply.complete for each in streams))
    return result | times_to_first(arrivals)


async def burst(run: Run) -> dict[str, float]:
    """Streams whose events come all at once, one after the other on each connection."""
    model = run.options.model
    streams = await run.connect(run.stream(model, int(model.removeprefix("burst-")), BurstStream, run.tally))
    for each in streams:
        each.ask()
    await run.pause(WARM_UP_S)
    spent = await run.spend(run.options.seconds)
    events = run.tally.events
    return {"per_s": events / spent.wall, "cpu_us": spent.subject / events * 1e6, **busy(spent)}


async def hold(run: Run) -> dict[str, float]:
    """Opens streams that stay silent. They are held until standard input is closed."""
    streams = await run.connect(run.stream(run.options.model, 0, Stream, run.tally))
    for each in streams:
        each.ask()
    await run.until(lambda: all(each.events for each in streams))
    print(json.dumps({"held": len(streams)}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    return {}


KINDS = {"ask": ask, "arrive": arrive, "stream": stream, "burst": burst, "hold": hold}


async def main(options: argparse.Namespace) -> None:
    print(json.dumps(await KINDS[options.kind](Run(options))), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the measured process")
    parser.add_argument("--mock-pid", type=int, required=True, help="the mock provider")
    parser.add_argument("--prefix", default="", help="what stands before the mock's model names")
    parser.add_argument("--token", default="")
    parser.add_argument("--model", default="instant")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--prompt-bytes", type=int, default=0, help="of the user's message; 0: one word")
    parser.add_argument("--usage", action="store_true", help="ask for the usage of streams")
    parser.add_argument("--tells-usage", action="store_true", help="the subject tells it even if it is not asked for")
    parser.add_argument("--freeze", type=int, default=0, metavar="PID", help="stop that process while counting")
    uvloop.run(main(parser.parse_args()))
