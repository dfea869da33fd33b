"""The real fetch, against servers on loopback."""

import asyncio
import gzip
import ssl

import pytest
import trustme
from aiohttp import web

from gateway.errors import BrokeOff, TimedOut, Unreachable
from gateway.identity.jwt.jwks import HttpFetch, safe_url


class Server:
    """Answers all requests with `answer(request)`, and keeps what was asked."""

    def __init__(self):
        self.requests = []
        self.answer = None

    async def __call__(self, request):
        self.requests.append(request)
        return await self.answer(request)

    def answers(self, *args, **kwargs):
        async def answer(request):
            return web.Response(*args, **kwargs)

        self.answer = answer


@pytest.fixture
async def server():
    server = Server()
    runner = web.ServerRunner(web.Server(server, handler_cancellation=True), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    yield server
    await runner.cleanup()


async def test_reads_whatever_the_content_type(server):
    server.answers(body=b'{"keys":[]}', content_type="text/html")

    assert await HttpFetch()(server.url) == b'{"keys":[]}'
    assert server.requests[0].headers["Accept-Encoding"] == "identity"


async def test_does_not_follow_redirects(server):
    server.answers(status=302, headers={"Location": server.url + "/elsewhere"})

    with pytest.raises(BrokeOff, match="status 302"):
        await HttpFetch()(server.url)
    assert [request.path for request in server.requests] == ["/keys"]


@pytest.mark.parametrize("status", [204, 206, 404, 500])
async def test_takes_nothing_but_200(server, status):
    server.answers(status=status)

    with pytest.raises(BrokeOff, match=str(status)):
        await HttpFetch()(server.url)


async def test_takes_no_more_than_a_mebibyte(server):
    server.answers(body=b"x" * 1024 * 1024)
    assert len(await HttpFetch()(server.url)) == 1024 * 1024

    server.answers(body=b"x" * (1024 * 1024 + 1))
    with pytest.raises(BrokeOff, match="more than 1048576 bytes"):
        await HttpFetch()(server.url)


async def test_does_not_read_a_body_without_end(server):
    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    server.answer = answer

    with pytest.raises(BrokeOff, match="more than 1048576 bytes"):
        await HttpFetch()(server.url)


async def test_does_not_unpack(server):
    """A mebibyte of gzip may be a gibibyte of text."""
    packed = gzip.compress(b'{"keys":[]}', mtime=0)
    server.answers(body=packed, headers={"Content-Encoding": "gzip"})

    assert await HttpFetch()(server.url) == packed


@pytest.mark.parametrize("begins", [False, True])
async def test_does_not_wait_for_long(server, begins):
    async def answer(request):
        response = web.StreamResponse()
        if begins:
            await response.prepare(request)
            await response.write(b"{")
        await asyncio.Event().wait()

    server.answer = answer

    with pytest.raises(TimedOut):
        await HttpFetch(timeout_s=0.05)(server.url)


async def test_keeps_no_cookies(server):
    server.answers(body=b"{}", headers={"Set-Cookie": "a=b"})
    fetch = HttpFetch()

    await fetch(server.url)
    await fetch(server.url)

    assert [request.headers.get("Cookie") for request in server.requests] == [None, None]


async def test_a_provider_that_is_not_there(unused_tcp_port):
    with pytest.raises(Unreachable, match=r"^the identity provider cannot be reached$"):
        await HttpFetch()(f"http://127.0.0.1:{unused_tcp_port}/keys")


async def test_a_reply_cut_short(server):
    async def answer(request):
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"{")
        request.transport.abort()
        return response

    server.answer = answer

    with pytest.raises(Unreachable):
        await HttpFetch()(server.url)


async def test_certificates_are_checked():
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = Server()
    server.answers(body=b"{}")
    runner = web.ServerRunner(web.Server(server, handler_cancellation=True), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}/"
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    with pytest.raises(Unreachable):
        await HttpFetch()(url)
    assert server.requests == []
    assert await HttpFetch(tls=trusting)(url) == b"{}"
    await runner.cleanup()


@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example.com/keys",
        "http://127.0.0.1.example.com/keys",
        "http://localhost.example.com/keys",
        "http://10.0.0.1/keys",
        "http://169.254.169.254/latest/meta-data",
        "http://0.0.0.0/keys",
        "http://127.1/keys",
        "http://127.0.0.1@idp.example.com/keys",
        "http://user@127.0.0.1/keys",
        "https://user:pw@idp.example.com/keys",
        "ftp://127.0.0.1/keys",
        "file:///etc/passwd",
        "//127.0.0.1/keys",
        "/keys",
        "https://",
        "https://[::1/keys",
        "",
    ],
)
async def test_asks_nobody_whose_answer_could_be_another_s(url):
    with pytest.raises(ValueError, match=r"."):
        safe_url(url)
    with pytest.raises(Unreachable, match="only fetched by https"):
        await HttpFetch()(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://idp.example.com/keys?a=b",
        "https://10.0.0.1/keys",
        "http://localhost:8080/keys",
        "http://127.9.9.9/keys",
        "http://[::1]:8080/keys",
    ],
)
def test_may_ask(url):
    assert str(safe_url(url)) == url
