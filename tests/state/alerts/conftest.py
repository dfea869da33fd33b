"""An alert, and servers on loopback that take alerts or refuse them."""

import ssl
from contextlib import AsyncExitStack

import pytest
import trustme

from gateway.contract.limits import Mode, Unit
from gateway.contract.windows import Window
from gateway.state.database.ledger_rows import Alert


@pytest.fixture(scope="session")
def alert_of():
    def make(**fields):
        fields = {
            "key": "each|ana",
            "rule": "each",
            "scope": "user:ana@example.com",
            "unit": Unit.COST,
            "window": Window.MONTH,
            "begins_s": 1772323200,
            "ends_s": 1775001600,
            "used": 912_345_678_901,
            "limit": 1_000_000_000_000,
            "threshold": 90.0,
            "mode": Mode.ENFORCE,
        } | fields
        return Alert(**fields)

    return make


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def trusting(authority):
    """A client's view: it knows the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="session")
def certified(authority):
    """A server's: it has a certificate for 127.0.0.1 and localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


class HttpServer:
    """Answers each request with the next of `answers`, the last again and again: (status, body)."""

    def __init__(self, *answers, headers=""):
        self.answers = list(answers)
        self.headers = headers
        self.requests = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook/canary"

    async def talk(self, reader, writer):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
            self.requests.append((head, (await reader.readexactly(length)).decode()))
            status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{self.headers}\r\n"
            writer.write((head + body).encode())


class SmtpServer:
    """Takes mails, each a list of recipients and a text. `refused`: command -> what it is answered; a whole line
    in upper case, as Python writes `RCPT TO:` in lower case before 3.13."""

    def __init__(self, *, starttls=None, refused=None):
        self.starttls = starttls
        self.refused = refused or {}
        self.commands = []
        self.mails = []

    async def talk(self, reader, writer):
        writer.write(b"220 ready\r\n")
        recipients = []
        is_open = True
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            self.commands.append(("open " if is_open else "sealed ") + line)
            command = line.split()[0].upper()
            if answer := self.refused.get(line.upper()) or self.refused.get(command):
                writer.write(f"{answer}\r\n".encode())
            elif command == "EHLO":
                offers = ["STARTTLS"] if self.starttls and is_open else ["AUTH PLAIN"]
                writer.write(f"250-fake\r\n250 {offers[0]}\r\n".encode())
            elif command == "STARTTLS":
                writer.write(b"220 go\r\n")
                await writer.drain()
                await writer.start_tls(self.starttls)
                is_open = False
            elif command == "AUTH":
                writer.write(b"235 welcome\r\n")
            elif command == "RCPT":
                recipients.append(line.partition("<")[2].rstrip(">"))
                writer.write(b"250 ok\r\n")
            elif command == "DATA":
                writer.write(b"354 go on\r\n")
                text = (await reader.readuntil(b"\r\n.\r\n")).decode()
                self.mails.append((recipients, text.replace("\r\n", "\n")))
                recipients = []
                writer.write(b"250 taken\r\n")
            elif command == "QUIT":
                writer.write(b"221 bye\r\n")
                return
            else:
                writer.write(b"250 ok\r\n")


@pytest.fixture
async def listening(tcp_server):
    """`await listening(server)`: opens it; it is closed at the end. It is had in `server.talk(reader, writer)`."""
    async with AsyncExitStack() as servers:

        async def listen(server, tls=None):
            server.port = await servers.enter_async_context(tcp_server(server.talk, ssl=tls))
            return server

        yield listen


@pytest.fixture(scope="session")
def http_server():
    return HttpServer


@pytest.fixture(scope="session")
def smtp_server():
    return SmtpServer
