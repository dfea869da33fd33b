"""Real gateways in processes of their own, a provider that does as it is told, and clients down to the bytes."""

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from enum import Enum
from itertools import pairwise
from pathlib import Path

import pytest

from gateway import servers
from gateway.servers.run import raise_open_files
from gateway.wire.form import FormReader

IN_TIME_S = 30
"""Far more than anything here takes; a test that waits this long has failed."""

PROVIDER_KEY = "provider-key-of-mock"

SMALL_NUMBERS = """\
'''The same gateway, with deadlines and limits that a test can wait for.'''

from functools import partial

import gateway.app
import gateway.servers
from gateway.cli import main

gateway.app.Timing = partial(
    gateway.app.Timing, keep_alive_s=0.2, first_byte_s=1.0, idle_s=1.0, write_stall_s=1.0
)
gateway.app.Bodies = partial(gateway.app.Bodies, timeout_s=0.5)
gateway.app.max_open_by_files = lambda: 4
gateway.servers.Limits = partial(gateway.servers.Limits, head_s=0.5)
main(prog_name="gateway")
"""

# --- what was measured -----------------------------------------------------------------------------------------------


@pytest.fixture
def measured(record_property, request):
    """`measured("cancel", 0.012, "s")`: shown at the end of the run. Slow machines must not fail for being slow."""

    def note(what, value, unit):
        record_property("measured", f"{request.node.name}: {what} {value:.4g} {unit}")

    return note


# --- the gateway -----------------------------------------------------------------------------------------------------


class GatewayProcess:
    """One `gateway serve`, and what it wrote."""

    def __init__(self, folder, command, environ):
        self.folder = folder
        self.port = int(command[command.index("--port") + 1])
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            self.process = subprocess.Popen(command, cwd=folder, env=environ, stdout=out, stderr=err)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def pid(self):
        return self.process.pid

    @property
    def out(self):
        return (self.folder / "out").read_text()

    @property
    def err(self):
        return (self.folder / "err").read_text()

    @property
    def log(self):
        """The lines of the log that are whole, decoded."""
        return [json.loads(line) for line in self.out.splitlines(keepends=True) if line.endswith("\n")]

    @property
    def rss_kib(self):
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())[1])

    @property
    def files(self):
        """How many it has open, without those of its databases, some of which are opened by the first requests."""
        return sum(not is_of_a_database(each) for each in Path(f"/proc/{self.pid}/fd").iterdir())

    def ready(self):
        """What `/readyz` says, with its status: `(503, {"status": "stopping", ...})`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=IN_TIME_S)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    async def records_of(self, request_id):
        """What the log says of a request, once it does."""
        deadline = time.monotonic() + IN_TIME_S
        while not (found := [line for line in self.log if line.get("request_id") == request_id]):
            assert time.monotonic() < deadline, self.out
            await asyncio.sleep(0.02)
        return found

    async def exit_code(self):
        return await asyncio.to_thread(self.process.wait, IN_TIME_S)

    def wait_until_ready(self):
        deadline = time.monotonic() + IN_TIME_S
        while True:
            assert self.process.poll() is None, self.out + self.err
            with suppress(OSError):
                if self.ready()[0] == 200:
                    return
            assert time.monotonic() < deadline, self.out + self.err
            time.sleep(0.02)

    def assert_sound(self):
        """It still runs, and nothing went wrong that no request was told of."""
        assert self.process.poll() is None
        assert self.err.count("Traceback") == 0, self.err
        assert [line for line in self.log if line["event"] != "request" and line["level"] == "error"] == []

    def end(self):
        self.process.kill()
        self.process.wait()


def is_of_a_database(file):
    """Whether an entry of /proc/<pid>/fd is; what is closed meanwhile need not be counted either."""
    try:
        return re.search(r"\.db(-wal|-shm)?$", str(file.readlink())) is not None
    except FileNotFoundError:
        return True


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


@contextmanager
def serving(folder, token, *, server="hypercorn", config=None, small_numbers=False, options=(), environ=None):
    """A gateway, while inside. `config`: text of manifests; `small_numbers`: True, or a program of the test's own."""
    folder.mkdir(parents=True, exist_ok=True)
    entry = ["-m", "gateway"]
    if small_numbers:
        (folder / "small_numbers.py").write_text(SMALL_NUMBERS if small_numbers is True else small_numbers)
        entry = ["small_numbers.py"]
    command = [sys.executable, *entry, "serve", "--port", str(free_port()), "--server", server, *options]
    if config is not None:
        (folder / "gateway.yaml").write_text(config)
        command += ["--config", "gateway.yaml"]
    base = {"PATH": os.environ["PATH"], "HOME": str(folder), "GATEWAY_ADMIN_TOKEN": token}
    process = GatewayProcess(folder, command, base | (environ or {}))
    try:
        process.wait_until_ready()
        yield process
    finally:
        process.end()


@pytest.fixture
def gateway_process(tmp_path, token):
    """Starts gateways of a test's own: `gateway_process(server=..., config=..., options=...)`."""
    with ExitStack() as stack:
        count = 0

        def start(**how):
            nonlocal count
            count += 1
            return stack.enter_context(serving(tmp_path / f"gateway-{count}", token, **how))

        yield start


@pytest.fixture(scope="module")
def gateway_of_module(tmp_path_factory, token):
    """The same, for all tests of a module."""
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(serving(tmp_path_factory.mktemp("gateway"), token, **how))


@pytest.fixture(scope="session")
def shared_gateway(tmp_path_factory, token, manifests):
    """`shared_gateway(server)`: one for all tests, started when the first of them asks."""
    running = {}
    with ExitStack() as stack:

        def find(server, *, small_numbers=False):
            key = (server, small_numbers)
            if key not in running:
                folder = tmp_path_factory.mktemp(server)
                how = {"server": server, "config": manifests, "small_numbers": small_numbers}
                running[key] = stack.enter_context(serving(folder, token, **how))
            return running[key]

        yield find


@pytest.fixture(params=servers.NAMES)
def server(request):
    return request.param


@pytest.fixture
def gateway(server, shared_gateway):
    """A gateway as people run it, on each of the servers."""
    process = shared_gateway(server)
    yield process
    process.assert_sound()


@pytest.fixture
def hasty_gateway(server, shared_gateway):
    """The same with small deadlines, and at most four requests at once."""
    process = shared_gateway(server, small_numbers=True)
    yield process
    process.assert_sound()


@pytest.fixture
def one_gateway(shared_gateway):
    """A gateway on the server that is the default, for what no server has a say in."""
    process = shared_gateway("hypercorn")
    yield process
    process.assert_sound()


@pytest.fixture(scope="session", autouse=True)
def enough_files():
    """Clients and providers of hundreds of streams live in this process."""
    raise_open_files()


# --- manifests -------------------------------------------------------------------------------------------------------


def account_of(name, url, key=PROVIDER_KEY):
    """An account with the models `<name>/chat`, `<name>/old` (completions) and `<name>/vectors`."""
    models = [("chat", "chat"), ("old", "completion"), ("vectors", "embedding")]
    return {
        "type": "provider-account/self-hosted-model",
        "name": name,
        "integrations": [
            {
                "type": "integration/model/self-hosted-model",
                "name": model,
                "hosted_model_name": f"real-{model}",
                "url": url,
                "model_server": "openai-compatible",
                "model_types": [kind],
                "auth_data": {"type": "bearer-auth", "bearer_token": key},
            }
            for model, kind in models
        ],
    }


@pytest.fixture(scope="session")
def account():
    return account_of


@pytest.fixture(scope="session")
def manifests(provider_url, nowhere_url, llmock_server, speaker):
    """`mock` is the provider of the test, `llm` is llmock, nobody listens at `nowhere`; there are `demo/echo` and, for
    WebSockets, `voice/talk`, which listens where any request to `any/thing` goes."""
    accounts = [
        account_of("mock", provider_url),
        account_of("nowhere", nowhere_url),
        account_of("llm", llmock_server.base_url("openai")),
        {"type": "provider-account/demo", "name": "demo", "integrations": [{"name": "echo"}]},
        speaker,
        {
            "type": "provider-account/custom-endpoint",
            "name": "any",
            "auth_data": {"type": "header", "headers": {"Authorization": "Basic key-of-any"}},
            "integrations": [{"name": "thing", "base_url": speaker["base_url"].replace("/v1", "/base")}],
        },
    ]
    return json.dumps(accounts)


@pytest.fixture(scope="session")
def speaker_socket():
    """Where a test may listen for the sessions of `voice/talk`."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as sock:
        yield sock


@pytest.fixture(scope="session")
def speaker(speaker_socket):
    """The account `voice`."""
    url = f"http://127.0.0.1:{speaker_socket.getsockname()[1]}/v1"
    models = [("talk", "real-talk", "realtime")]
    return {
        "type": "provider-account/openai",
        "name": "voice",
        "base_url": url,
        "auth_data": {"type": "api-key", "api_key": PROVIDER_KEY},
        "integrations": [
            {"type": "integration/model/openai", "name": name, "model_id": model_id, "model_types": [kind]}
            for name, model_id, kind in models
        ],
    }


@pytest.fixture(scope="session")
def nowhere_url():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # taken, but nobody listens
        yield f"http://127.0.0.1:{sock.getsockname()[1]}/v1"


# --- the provider ----------------------------------------------------------------------------------------------------


class Act(Enum):
    CLOSE = "close"
    RESET = "reset"
    STALL = "stall"


class Asked:
    """A request as it arrived at the provider; `closed` is set when its connection ends."""

    def __init__(self, head, body, connection):
        self.head = head
        self.body = body
        self.connection = connection
        self.sent_bytes = 0
        self.is_answered = False
        self.closed = asyncio.Event()
        self.closed_at = None

    @property
    def fields(self):
        """Of a form, the texts."""
        if self.is_form:
            return {part.name: part.data.decode() for part in self.parts if part.filename is None}
        return json.loads(self.body)

    @property
    def is_form(self):
        return b"multipart/form-data" in self.head

    @property
    def parts(self):
        reader = FormReader(re.search(rb"(?i)\r\ncontent-type: ([^\r]+)", self.head)[1].decode())
        reader.feed(self.body)
        return reader.end().parts

    async def seconds_until_closed(self, since):
        async with asyncio.timeout(IN_TIME_S):
            await self.closed.wait()
        return self.closed_at - since


class ProviderConnection(asyncio.Protocol):
    def __init__(self, provider):
        self._provider = provider
        self._received = bytearray()
        self._asked = None
        self._playing = None
        self._can_write = asyncio.Event()
        self._can_write.set()

    def connection_made(self, transport):
        self.transport = transport
        self._provider.connections.append(self)

    def pause_writing(self):
        self._can_write.clear()

    def resume_writing(self):
        self._can_write.set()

    def data_received(self, data):
        self._received += data
        self._take_request()

    def eof_received(self):
        self._close()

    def connection_lost(self, exc):
        self._close()

    def _close(self):
        self._can_write.set()
        if self._asked is not None and not self._asked.closed.is_set():
            self._asked.closed_at = time.perf_counter()
            self._asked.closed.set()

    def _take_request(self):
        if self._playing is not None:
            return
        head, blank, rest = bytes(self._received).partition(b"\r\n\r\n")
        if not blank:
            return
        length = int(re.search(rb"(?i)\r\ncontent-length: (\d+)", head)[1])
        if len(rest) < length:
            return
        self._received = bytearray(rest[length:])
        self._asked = Asked(head, rest[:length], self)
        self._provider.requests.append(self._asked)
        self._playing = asyncio.get_running_loop().create_task(self._play(self._asked))

    async def _play(self, asked):
        for step in self._provider.script_for(asked.fields.get("model")):
            if asked.closed.is_set():
                return
            if isinstance(step, bytes):
                self.transport.write(step)
                asked.sent_bytes += len(step)
                await asyncio.sleep(0)
                await self._can_write.wait()
            elif isinstance(step, asyncio.Event):
                await step.wait()
            elif step is Act.CLOSE:
                self.transport.close()
                return
            elif step is Act.RESET:
                reset(self.transport)
                return
            else:
                await asked.closed.wait()
        asked.is_answered = True
        self._playing = None
        self._take_request()

    def end(self):
        if self._playing is not None:
            self._playing.cancel()
        self.transport.abort()


async def turns():
    """As many of the loop as a connection needs to come to be, or to end."""
    for _ in range(3):
        await asyncio.sleep(0)


class Provider:
    """Plays a script for each model.

    A script is what goes out as it stands: `provider.on("real-chat", [STREAM, chunk(event), Act.RESET])`. Bytes are
    sent, events are waited for. With several scripts, each request gets the next, and all later ones the last.
    """

    CLOSE, RESET, STALL = Act

    def __init__(self):
        self.requests = []
        self.connections = []
        self._scripts = {}
        self._servers = []

    def on(self, model, *scripts):
        self._scripts[model] = list(scripts)

    def script_for(self, model):
        scripts = self._scripts[model]
        return scripts.pop(0) if len(scripts) > 1 else scripts[0]

    async def listen(self, sock, ssl=None):
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: ProviderConnection(self), sock=sock, ssl=ssl, backlog=2048)
        self._servers.append(server)

    async def end(self):
        for server in self._servers:
            server.close()
        await turns()  # who was accepted just now is connected
        for connection in self.connections:
            connection.end()
        await turns()

    async def asked(self, count=1):
        """The latest request, once there have been so many."""
        async with asyncio.timeout(IN_TIME_S):
            while len(self.requests) < count:
                await asyncio.sleep(0.001)
        return self.requests[count - 1]


@pytest.fixture(scope="session")
def provider_socket():
    """Listens as long as the gateways live; each test has a provider of its own behind it."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as sock:
        yield sock


@pytest.fixture(scope="session")
def provider_url(provider_socket):
    return f"http://127.0.0.1:{provider_socket.getsockname()[1]}/v1"


@pytest.fixture
async def provider(provider_socket):
    provider = Provider()
    await provider.listen(provider_socket.dup())
    yield provider
    await provider.end()


def reset(transport):
    """Ends a connection in the middle, as a crash does."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


# --- what providers say ----------------------------------------------------------------------------------------------


class Say:
    """Pieces of a provider's answer, ready to be sent."""

    STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    END = b"0\r\n\r\n"
    DONE = b"data: [DONE]\n\n"

    @staticmethod
    def chunk(data):
        return b"%x\r\n%b\r\n" % (len(data), data)

    @staticmethod
    def event(text, finish_reason=None, **extra):
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
        return Say.data({**Say.head(), "choices": [choice], **extra})

    @staticmethod
    def usage(prompt_tokens=3, completion_tokens=2):
        total = prompt_tokens + completion_tokens
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total}
        return Say.data({**Say.head(), "choices": [], "usage": usage})

    @staticmethod
    def head():
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "real-chat"}

    @staticmethod
    def data(value):
        return b"data: %b\n\n" % json.dumps(value).encode()

    @staticmethod
    def whole(value, status=200, headers=(), reason="Reason"):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        lines = [("content-type", "application/json"), ("content-length", len(body)), *dict(headers).items()]
        head = "".join(f"{name}: {value}\r\n" for name, value in lines)
        return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, reason.encode(), head.encode(), body)

    @staticmethod
    def stream(*texts, usage=True):
        """A whole answer: a script of its own, an event in each chunk."""
        events = [Say.event(text) for text in texts] + [Say.event("", "stop")] + [Say.usage()] * usage + [Say.DONE]
        return [Say.STREAM, *map(Say.chunk, events), Say.END]

    @staticmethod
    def completion(text="hello"):
        message = {"role": "assistant", "content": text}
        return Say.whole(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1700000000,
                "model": "real-chat",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            }
        )


@pytest.fixture(scope="session")
def say():
    return Say


# --- the client ------------------------------------------------------------------------------------------------------


class Answer:
    """`is_whole` is False when the connection ended before the body did."""

    def __init__(self, status, headers):
        self.status = status
        self.headers = headers
        self.body = b""
        self.is_whole = False

    @property
    def id(self):
        return self.headers["x-request-id"]

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def events(self):
        """The data of each event that is whole, comments left out."""
        return [event[6:] for event in self.body.split(b"\n\n")[:-1] if event.startswith(b"data: ")]


class Client:
    """One connection to a gateway, used to the byte."""

    def __init__(self, reader, writer, token):
        self.reader = reader
        self.writer = writer
        self._token = token

    def send(self, data):
        self.writer.write(data)

    def ask(self, body, path="/v1/chat/completions", **headers):
        self.send(self.request(body, path, **headers))

    def request(self, body, path="/v1/chat/completions", method="POST", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        lines = {"host": "gateway", "authorization": f"Bearer {self._token}", "content-length": len(data)} | given
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
        return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + data

    async def get(self, path):
        self.send(self.request(b"", path, method="GET"))
        return await self.answer()

    async def head(self):
        async with asyncio.timeout(IN_TIME_S):
            first, *lines = (await self.reader.readuntil(b"\r\n\r\n"))[:-4].decode("latin-1").split("\r\n")
        fields = (line.partition(":") for line in lines)
        return Answer(int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in fields})

    async def piece(self, answer):
        """The next piece of the body, which is added to the answer; `b""` at its end."""
        async with asyncio.timeout(IN_TIME_S):
            if answer.headers.get("transfer-encoding") == "chunked":
                size = int((await self.reader.readuntil(b"\r\n")), 16)
                data = (await self.reader.readexactly(size + 2))[:-2]
            else:
                left = int(answer.headers["content-length"]) - len(answer.body)
                data = await self.reader.readexactly(left)
        answer.body += data
        answer.is_whole = answer.is_whole or not data
        return data

    async def event(self, answer):
        """Reads on until another event has arrived whole; comments are none."""
        before = len(answer.events)
        while len(answer.events) == before:
            assert await self.piece(answer), answer.body

    async def rest(self, answer):
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self.piece(answer):
                pass
        return answer

    async def answer(self):
        return await self.rest(await self.head())

    async def ended(self):
        """Returns what still comes before the other side closes; a reset is an end as well."""
        try:
            async with asyncio.timeout(IN_TIME_S):
                return await self.reader.read()
        except ConnectionError:
            return b""

    def reset(self):
        reset(self.writer.transport)

    def close(self):
        self.writer.transport.abort()


@pytest.fixture
async def connect(token):
    """`await connect(gateway)`: a `Client`. With `small_buffers`, it takes no more than a few KiB before it is read."""
    clients = []

    async def connect(gateway, *, small_buffers=False):
        sock = socket.socket()
        sock.setblocking(False)
        if small_buffers:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with asyncio.timeout(IN_TIME_S):
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", gateway.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=4096 if small_buffers else 2**20)
        clients.append(Client(reader, writer, token))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()
    await asyncio.sleep(0)  # connections end a turn of the loop after they were closed


@pytest.fixture(scope="session")
def ask():
    """`ask(model, **fields)`: the body of a chat request, streamed and with usage unless told otherwise."""

    def ask(model="mock/chat", content="Hello!", **fields):
        usual = {"stream": True, "stream_options": {"include_usage": True}}
        if fields.get("stream") is False:
            usual = {}
        return {"model": model, "messages": [{"role": "user", "content": content}], **usual, **fields}

    return ask


@pytest.fixture(scope="session")
def settled():
    """`await settled(read)`: what `read()` returns once it has stopped changing."""

    async def settled(read, still_s=0.5):
        deadline = time.monotonic() + IN_TIME_S
        seen, since = read(), time.monotonic()
        while time.monotonic() - since < still_s:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
            if (now := read()) != seen:
                seen, since = now, time.monotonic()
        return seen

    return settled


@pytest.fixture(scope="session")
def terminate():
    def terminate(gateway):
        gateway.process.send_signal(signal.SIGTERM)

    return terminate


@pytest.fixture(scope="session")
def cut():
    """Cuts bytes at given places."""

    def cut(data, places):
        return [data[start:end] for start, end in pairwise([0, *sorted(places), len(data)])]

    return cut
