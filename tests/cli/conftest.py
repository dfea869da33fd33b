"""A gateway's control API that answers from a script, and a way to run commands against it."""

import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from gateway.cli import main

BASE = "/api/svc/v1"


class FakeControl(ThreadingHTTPServer):
    """Answers each request with the next answer of its script, and writes down what it was asked.

    `requests` are (method, path below /api/svc/v1, body as data or None).
    """

    def __init__(self, address=("127.0.0.1", 0)):
        super().__init__(address, Handler)
        self.scheme = "http"
        self.script = []
        self.requests = []
        self.headers = []

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def answer(self, body, status=200, **headers):
        """`body` is data or, as bytes, what is sent as it is."""
        self.script.append((status, headers, body if isinstance(body, bytes) else json.dumps(body).encode()))

    def handle_error(self, request, client_address):
        """The client left, which is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    def handle_one_request(self):
        super().handle_one_request()
        self.close_connection = True

    def serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.requests.append((self.command, self.path.removeprefix(BASE), body))
        self.server.headers.append(dict(self.headers))
        status, headers, answer = self.server.script.pop(0) if self.server.script else (500, {}, b"no answer left")
        if status is None:
            self.wfile.write(answer)
            return
        self.send_response(status)
        for name, value in {"Content-Length": str(len(answer)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = serve  # noqa: N815

    def log_message(self, *_):
        """Nobody reads it."""


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


@pytest.fixture
def serving():
    """`with serving(server):` serves in a thread, and closes it."""

    @contextlib.contextmanager
    def serving(server):
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    return serving


@pytest.fixture
def control(serving):
    with serving(FakeControl()) as server:
        yield server


@pytest.fixture
def cli(control, tmp_path, monkeypatch):
    """`cli("token", "list")`, in an empty folder, with the token gw-canary; `given` is standard input."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, given=None, **environ):
        environ = {"GATEWAY_URL": control.url, "GATEWAY_TOKEN": "gw-canary", "GATEWAY_ADMIN_TOKEN": None, **environ}
        return CliRunner(env=environ).invoke(main, arguments, input=given)

    return run
