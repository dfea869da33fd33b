"""Follows one streamed request through the gateway: file and function, in the order in which they are entered.

    python benchmarks/trace.py             # a model that is named directly
    python benchmarks/trace.py --routed    # a virtual model, with limits and a budget

The first request warms everything up; the second is followed. What runs besides, to write the log and to watch the
event loop, is no part of its way.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from subjects import LIMITS, manifest, pool

import gateway
from gateway import build_app
from gateway.testing import ListSink, post

ROOT = Path(gateway.__file__).parent
TOKEN = "trace-0123456789abcdef0123456789abcdef"
BESIDES = {"gateway/testing.py", "gateway/state/stalls.py", "Records._flush_soon"}
EVENTS = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "hello"}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {"content": " world"}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}},
]
STREAM = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in EVENTS) + b"data: [DONE]\n\n"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Trace:
    """Of each function of the gateway: where it is, once, in the order in which they are first entered."""

    def __init__(self) -> None:
        self.entered: dict[tuple[str, str], None] = {}

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(ROOT)):
            file = str(Path(code.co_filename).relative_to(ROOT.parent))
            if file not in BESIDES and code.co_qualname not in BESIDES:
                self.entered.setdefault((file, code.co_qualname))

    @property
    def files(self) -> list[str]:
        return list(dict.fromkeys(file for file, _ in self.entered))


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A provider, event by event."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            writer.write(HEAD)
            for event in STREAM.split(b"\n\n")[:-1]:
                await asyncio.sleep(0.01)
                writer.write(b"%x\r\n%b\n\n\r\n" % (len(event) + 2, event))
            writer.write(b"0\r\n\r\n")
    except asyncio.IncompleteReadError:
        writer.close()


async def follow(*, is_routed: bool) -> Trace:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    more = pool("weight", ["m"], url) + LIMITS if is_routed else ""
    environ = {"GATEWAY_ADMIN_TOKEN": TOKEN}
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    body = {
        "model": "pool/m" if is_routed else "mock/m",
        "stream": True,
        "messages": [{"role": "user", "content": "hi"}],
    }
    trace = Trace()
    with TemporaryDirectory() as directory:
        path = Path(directory) / "gateway.yaml"
        path.write_text(manifest(["m"], url) + more)
        app = build_app(path, environ=environ, sinks=[ListSink()])
        async with app.lifespan():
            await post(app, "/v1/chat/completions", body, headers=headers)
            await asyncio.sleep(0.1)  # until the connection is free again
            sys.setprofile(trace)
            try:
                got = await post(app, "/v1/chat/completions", body, headers=headers)
            finally:
                sys.setprofile(None)
        await asyncio.sleep(0.1)  # until the provider has seen that its connections are closed
    server.close()
    if got.status != 200 or not got.body.endswith(b"data: [DONE]\n\n"):
        raise SystemExit(f"no answer: {got.status} {got.body!r}")
    return trace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routed", action="store_true", help="a virtual model, with limits and a budget")
    trace = asyncio.run(follow(is_routed=parser.parse_args().routed))
    last = ""
    for file, function in trace.entered:
        print(f"{file if file != last else '':36} {function}")
        last = file
    print(f"\n{len(trace.files)} files, {len(trace.entered)} functions")


if __name__ == "__main__":
    main()
