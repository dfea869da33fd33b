"""Networks that fail: names nobody knows, TLS nobody should speak, packets that are lost, and ways that are cut.

What loopback cannot do is done in network namespaces of the test's own. Only root may make them; else those tests are
skipped.
"""

import asyncio
import ctypes
import fcntl
import itertools
import json
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
import trustme

from gateway.contract import Endpoint, UpstreamRequest
from gateway.errors import BrokeOff, TimedOut
from gateway.upstream.client import HttpUpstream

SOON_S = 8.0
"""Far more than what is asserted takes, and less than the system's own patience."""

UNREACHABLE, TIMED_OUT = (502, "upstream_unreachable"), (408, "upstream_timeout")
GOOD = (200, None)


# --- models ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def start(gateway_process, account):
    """`start(a=url, b=url)`: a gateway with an account for each, and with `v/m`, which asks them in this order.

    An account may have more than a URL: `a={"url": ..., "tls_settings": ...}`. Its model is `real-a` to the provider.
    """

    def start(small_numbers=False, **accounts):
        config = []
        for name, fields in accounts.items():
            fields = fields if isinstance(fields, dict) else {"url": fields}
            config.append(account(name, fields["url"]))
            config[-1]["integrations"][0] |= {"hosted_model_name": f"real-{name}", **fields}
        rows = [
            {"target": f"{name}/chat", "priority": number, "retry_config": {"attempts": 1}}
            for number, name in enumerate(accounts)
        ]
        routing = {"type": "priority-based-routing", "load_balance_targets": rows}
        model = {"type": "integration/model/virtual", "name": "m", "model_types": ["chat"], "routing_config": routing}
        config.append({"type": "provider-account/virtual-model", "name": "v", "integrations": [model]})
        return gateway_process(config=json.dumps(config), small_numbers=small_numbers)

    return start


@pytest.fixture
def asked(connect, ask):
    """`await asked(gateway, model)`: the answer, its whole body, and what it took in seconds."""

    async def asked(gateway, model="v/m", *, stream=False, **headers):
        client = await connect(gateway)
        since = time.perf_counter()
        client.ask(ask(model, stream=stream), **headers)
        answer = await client.answer()
        client.close()
        return answer, time.perf_counter() - since

    return asked


async def attempts_of(gateway, answer):
    """Who was asked for it, in order, and what came of that."""
    [record] = await gateway.records_of(answer.id)
    return [(each["name"], (each["status"], each["reason"])) for each in record["spans"]]


def url_of(sock, scheme="http"):
    address, port = sock.getsockname()
    return f"{scheme}://{address}:{port}/v1"


# --- a network of one's own ------------------------------------------------------------------------------------------

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN_WITHOUT_HEADER = 0x400454CA, 0x1001


class Namespace:
    """A network of the calling thread's own, which is gone when nothing is left of it."""

    def __init__(self, *, new=True):
        self.libc = ctypes.CDLL(None, use_errno=True)
        if new and self.libc.unshare(CLONE_NEWNET):
            pytest.skip(f"cannot make a network namespace: {os.strerror(ctypes.get_errno())}")
        self.file = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def enter(self):
        """The thread makes its sockets there from now on, and so do processes that it starts."""
        assert self.libc.setns(self.file, CLONE_NEWNET) == 0

    def close(self):
        os.close(self.file)


class Line:
    """Between two networks. The test itself hands packets on, late as they may be, or loses them."""

    NEAR, FAR, NOBODY = "10.77.0.1", "10.77.0.2", "10.77.0.3"

    def __init__(self):
        self.loss, self.delay_s, self.jitter_s = 0.0, 0.0, 0.0
        self.is_cut = False
        self.lost = 0
        self._random = Random(5)
        self._loop = asyncio.get_running_loop()
        self.ends = []

    def lay(self, address):
        """An end of it, in the namespace that the thread is in."""
        try:
            end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        except OSError as error:
            pytest.skip(f"cannot make a network device: {error.strerror}")
        self.ends.append(end)
        fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH", b"line", IFF_TUN_WITHOUT_HEADER))
        ip("link set lo up")
        ip(f"addr add {address}/24 dev line")
        ip("link set line up")

    def open(self):
        for end, other in (self.ends, self.ends[::-1]):
            self._loop.add_reader(end, self._pass_on, end, other)

    def _pass_on(self, end, other):
        packet = os.read(end, 65536)
        if self.is_cut or self._random.random() < self.loss:
            self.lost += 1
            return
        after_s = self.delay_s + self.jitter_s * self._random.uniform(-1, 1)
        self._loop.call_later(after_s, self._arrive, other, packet)

    def _arrive(self, other, packet):
        if not self.is_cut:
            os.write(other, packet)

    def close(self):
        self.is_cut = True
        for end in self.ends:
            self._loop.remove_reader(end)
            os.close(end)


def ip(command):
    subprocess.run(["ip", *command.split()], check=True, capture_output=True)


@pytest.fixture
async def near(provider):
    """A network where nothing is but loopback and, from here on, this test and the processes it starts.

    `provider` is asked for to have its socket, which all tests share, made outside.
    """
    if sys.platform != "linux" or shutil.which("ip") is None:
        pytest.skip("network namespaces are made on Linux, with `ip`")
    outside = Namespace(new=False)
    near = Namespace()
    try:
        ip("link set lo up")
        yield near
        near.close()
    finally:
        outside.enter()
        outside.close()


@pytest.fixture
async def line(near, provider):
    """A line to another network. `line.url` is the test's provider at its far end."""
    line = Line()
    try:
        line.lay(Line.NEAR)
        far = Namespace()
        line.lay(Line.FAR)
        sock = socket.create_server((Line.FAR, 0))
        near.enter()
        far.close()
        await provider.listen(sock)
        line.url = url_of(sock)
        line.open()
        yield line
    finally:
        line.close()


@pytest.fixture
async def near_url(near, provider):
    """The test's provider in the same network as the gateway."""
    sock = socket.create_server(("127.0.0.1", 0))
    await provider.listen(sock)
    return url_of(sock)


# --- names -----------------------------------------------------------------------------------------------------------


class NameServer(asyncio.DatagramProtocol):
    """Knows `addresses`: name -> IPv4 addresses, or None to be silent. Other names do not exist."""

    def __init__(self):
        self.addresses = {}
        self.questions = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, sender):
        question = data[12 : data.index(0, 12) + 5]
        labels = question[:-5]
        name = ""
        while labels:
            name += labels[1 : 1 + labels[0]].decode() + "."
            labels = labels[1 + labels[0] :]
        self.questions.append(name)
        addresses = self.addresses.get(name, ())
        if addresses is None:
            return
        is_a = question[-4:-2] == b"\0\1"
        rows = [b"\xc0\x0c\0\1\0\1\0\0\0\x1e\0\4" + socket.inet_aton(address) for address in addresses if is_a]
        flags = 0x8180 if name in self.addresses else 0x8183
        head = data[:2] + struct.pack(">5H", flags, 1, len(rows), 0, 0)
        self.transport.sendto(head + question + b"".join(rows), sender)


@pytest.fixture
async def names(near):
    """A name server in the place of this machine's own: at its address, which here is on loopback."""
    words = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    servers = [line[1] for line in words if line[:1] == ["nameserver"]] or ["127.0.0.1"]
    if ":" in servers[0]:
        pytest.skip(f"the name server {servers[0]} has no IPv4 address")
    ip(f"addr add {servers[0]}/32 dev lo")
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=(servers[0], 53))
    yield server
    transport.close()


async def test_a_name_that_does_not_exist(start, asked, names, near_url, provider, say):
    """D.5 row 61."""
    provider.on("real-b", [say.completion()])
    gateway = start(a="http://gone.test/v1", b=near_url)

    answer, seconds = await asked(gateway)
    alone, _ = await asked(gateway, "a/chat")

    assert await attempts_of(gateway, answer) == [("a/chat", UNREACHABLE), ("b/chat", GOOD)]
    assert seconds < SOON_S
    assert alone.status == 502
    assert alone.json["error"]["message"] == "a/chat: no connection to gone.test:80: its name cannot be resolved"
    assert "gone.test." in names.questions
    gateway.assert_sound()


async def test_names_that_are_not_answered_hold_up_nobody_else(start, asked, names, near_url, provider, say, measured):
    """D.5 row 61. The system waits 10 s for a name server: whoever waits with it must not be all there is."""
    names.addresses = {**{f"silent{number}.test.": None for number in range(8)}, "good.test.": ["127.0.0.1"]}
    provider.on("real-good", [say.completion()])
    silent = {f"silent{number}": f"http://silent{number}.test/v1" for number in range(8)}
    good = near_url.replace("127.0.0.1", "good.test")
    gateway = start(**{"silent0": silent["silent0"], "good": good, **silent})  # of the route, only two are asked

    refused = await asyncio.gather(*(asked(gateway, f"{name}/chat", x_tfy_request_timeout="300") for name in silent))
    answer, seconds = await asked(gateway, x_tfy_request_timeout="1000")

    measured("a good name, after 1 s for a silent one", seconds, "s")
    assert [answer.status for answer, _ in refused] == [408] * 8
    assert await attempts_of(gateway, answer) == [("silent0/chat", TIMED_OUT), ("good/chat", GOOD)]
    assert seconds < SOON_S
    gateway.assert_sound()


async def test_a_name_with_two_addresses_of_which_the_first_is_dead(start, asked, names, line, provider, say, measured):
    """D.5 row 61: nothing ever comes back from it, so the second is tried before it has been given up (RFC 8305)."""
    provider.on("real-a", [say.completion()])
    names.addresses = {"two.test.": [Line.NOBODY, Line.FAR]}
    gateway = start(a=line.url.replace(Line.FAR, "two.test"))

    answer, seconds = await asked(gateway)

    measured("with a dead address", seconds * 1000, "ms")
    assert answer.status == 200
    assert 0.2 < seconds < SOON_S  # or the dead one was not the first


# --- TLS -------------------------------------------------------------------------------------------------------------


def old_tls(context):
    """Has it speak TLS 1.0 and nothing else, as no program does by itself any more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


def tls_of(authority, name, **how):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **how).configure_cert(context)
    return context


async def test_tls_that_is_not_to_be_trusted_is_passed_over(start, asked, provider, provider_url, say):
    """D.5 row 62: each is told in the record, no request is sent to any, and what they are told holds no key."""
    authority = trustme.CA()
    past = {"not_before": datetime.now(UTC) - timedelta(days=9), "not_after": datetime.now(UTC) - timedelta(days=1)}
    contexts = {
        "expired": tls_of(authority, "127.0.0.1", **past),
        "misnamed": tls_of(authority, "other.test"),
        "old": old_tls(tls_of(authority, "127.0.0.1")),
    }
    accounts = {}
    for name, context in contexts.items():
        sock = socket.create_server(("127.0.0.1", 0))
        await provider.listen(sock, ssl=context)
        known = {"ca_cert": authority.cert_pem.bytes().decode()}
        accounts[name] = {"url": url_of(sock, "https"), "tls_settings": known}
    provider.on("real-good", [say.completion()])
    gateway = start(**accounts, good=provider_url)

    answer, seconds = await asked(gateway)
    messages = [
        re.sub(r"1:\d+", "1:PORT", (await asked(gateway, f"{name}/chat"))[0].json["error"]["message"])
        for name in contexts
    ]

    assert answer.status == 200
    assert await attempts_of(gateway, answer) == [
        ("expired/chat", UNREACHABLE),
        ("misnamed/chat", UNREACHABLE),
        ("old/chat", UNREACHABLE),
        ("good/chat", GOOD),
    ]
    assert seconds < SOON_S
    assert messages == [
        "expired/chat: no connection to 127.0.0.1:PORT: its certificate is not valid (certificate has expired)",
        "misnamed/chat: no connection to 127.0.0.1:PORT: its certificate is not valid (IP address mismatch, "
        "certificate is not valid for '127.0.0.1'.)",
        "old/chat: no connection to 127.0.0.1:PORT: it closed the connection instead of agreeing on TLS",
    ]
    assert [request.fields["model"] for request in provider.requests] == ["real-good"]
    assert "provider-key-of-mock" not in gateway.out + gateway.err
    gateway.assert_sound()


async def test_the_old_tls_of_the_test_above_can_be_spoken(provider):
    """Or it would show nothing."""
    authority = trustme.CA()
    sock = socket.create_server(("127.0.0.1", 0))
    await provider.listen(sock, ssl=old_tls(tls_of(authority, "127.0.0.1")))
    client = old_tls(ssl.create_default_context(cadata=authority.cert_pem.bytes().decode()))

    _, writer = await asyncio.open_connection(*sock.getsockname(), ssl=client)

    assert writer.get_extra_info("ssl_object").version() == "TLSv1"
    writer.close()


# --- packets ---------------------------------------------------------------------------------------------------------


async def test_a_line_that_loses_and_delays_packets(start, asked, line, provider, say, measured):
    """D.5 row 63: 5 % are lost, and an answer is 200 ms ± 50 away. That is slow, and nothing else."""
    texts = [f"word {number}" for number in range(20)]
    provider.on("real-a", say.stream(*texts))
    line.loss, line.delay_s, line.jitter_s = 0.05, 0.1, 0.025
    gateway = start(a=line.url)

    answers = await asyncio.gather(*(asked(gateway, stream=True) for _ in range(20)))

    measured("slowest of 20 streams", max(seconds for _, seconds in answers), "s")
    measured("packets lost", line.lost, "")
    assert line.lost > 0
    assert [answer.is_whole and len(answer.events) for answer, _ in answers] == [23] * 20
    assert len(provider.requests) == 20
    gateway.assert_sound()


async def test_a_way_that_is_cut_under_idle_connections(start, asked, line, near_url, provider, say, settled):
    """D.5 row 63: those in the pool look as good as ever. When the way is mended, nothing is left of all that."""
    all_there = asyncio.Event()
    provider.on("real-a", [all_there, say.completion()])
    provider.on("real-b", [say.completion()])
    gateway = start(a=line.url, b=near_url)
    await asked(gateway, "b/chat")  # with the first bill the ledger opens its file
    for connection in provider.connections:
        connection.end()
    before = await settled(lambda: gateway.files)
    pooled = asyncio.gather(*(asked(gateway) for _ in range(5)))
    await provider.asked(5)
    all_there.set()
    await pooled

    line.is_cut = True
    cut = await asyncio.gather(*(asked(gateway, x_tfy_request_timeout="1000") for _ in range(3)))
    line.is_cut = False
    mended = [await asked(gateway, "a/chat") for _ in range(3)]

    assert [answer.status for answer, _ in cut] == [200] * 3
    assert {answer.headers["x-tfy-resolved-model"] for answer, _ in cut} == {"b/chat"}
    assert await attempts_of(gateway, cut[0][0]) == [("a/chat", TIMED_OUT), ("b/chat", GOOD)]
    assert max(seconds for _, seconds in cut) < SOON_S
    assert [answer.status for answer, _ in mended] == [200] * 3
    for connection in provider.connections:
        connection.end()
    async with asyncio.timeout(30):
        while gateway.files > before or gateway.ready()[1]["open_requests"]:
            await asyncio.sleep(0.02)
    gateway.assert_sound()


async def test_who_never_answers_is_passed_over(start, asked, line, near_url, provider, say):
    """D.5 rows 62 and 63: one takes the connection, and then is silent instead of speaking TLS; to the other not even a
    connection can be made, and no refusal comes back.
    """
    provider.on("real-good", [say.completion()])
    line.is_cut = True
    with socket.create_server(("127.0.0.1", 0)) as silent:
        gateway = start(silent=url_of(silent, "https"), cut=line.url, good=near_url)

        answer, seconds = await asked(gateway, x_tfy_request_timeout="1000")

    assert await attempts_of(gateway, answer) == [
        ("silent/chat", TIMED_OUT),
        ("cut/chat", TIMED_OUT),
        ("good/chat", GOOD),
    ]
    assert seconds < SOON_S
    assert [request.fields["model"] for request in provider.requests] == ["real-good"]
    gateway.assert_sound()


@pytest.fixture
async def upstream():
    """Its connections are given up as soon as the kernel can count: in whole seconds."""
    upstream = HttpUpstream(connect_timeout_s=0.5, dead_after_s=1.0)
    yield upstream
    await upstream.close()


def request_to(url, model="real-a"):
    return UpstreamRequest(Endpoint(f"{url}/chat/completions"), json.dumps({"model": model}).encode())


async def answer_of(upstream, url):
    reply = await upstream.call(request_to(url))
    try:
        while await reply.read():
            pass
    finally:
        reply.close()
    return reply.status


async def test_a_request_that_is_not_acknowledged_is_given_up(upstream, line, provider, say, measured):
    """Without a timeout of its caller's, too. It is not sent again: it may be the acknowledgement that was lost."""
    provider.on("real-a", [say.completion()])
    assert await answer_of(upstream, line.url) == 200

    line.is_cut = True
    since = time.perf_counter()
    async with asyncio.timeout(SOON_S):
        with pytest.raises(TimedOut, match="the connection to the provider is dead"):
            await answer_of(upstream, line.url)
    measured("given up after", time.perf_counter() - since, "s")
    with pytest.raises(TimedOut, match=r"^10\.77\.0\.2 took too long to accept a connection$"):
        await answer_of(upstream, line.url)

    line.is_cut = False
    assert await answer_of(upstream, line.url) == 200
    assert len(provider.requests) == 2


async def test_a_provider_that_vanishes_while_it_thinks_is_noticed(upstream, line, provider, measured):
    """Nothing is on its way to it that could fail to arrive, so somebody has to look."""
    provider.on("real-a", [provider.STALL])
    answering = asyncio.create_task(answer_of(upstream, line.url))
    await provider.asked()
    await asyncio.sleep(0.1)  # the request is acknowledged; if it is not, the time is the same

    line.is_cut = True
    since = time.perf_counter()
    async with asyncio.timeout(SOON_S):
        with pytest.raises(TimedOut, match="the connection to the provider is dead"):
            await answering

    measured("noticed after", time.perf_counter() - since, "s")


async def test_a_provider_that_vanishes_in_the_middle_of_its_answer_is_noticed(upstream, line, provider, say, measured):
    provider.on("real-a", [say.STREAM, say.chunk(say.event("one")), provider.STALL])
    reply = await upstream.call(request_to(line.url))
    assert await reply.read() == say.event("one")

    line.is_cut = True
    since = time.perf_counter()
    async with asyncio.timeout(SOON_S):
        with pytest.raises(BrokeOff, match="in the middle of its answer"):
            await reply.read()
    reply.close()

    measured("noticed after", time.perf_counter() - since, "s")


async def test_a_provider_that_thinks_for_long_is_not_given_up(upstream, line, provider, say):
    """It is alive as long as its system answers for it."""
    goes_on = asyncio.Event()
    provider.on("real-a", [goes_on, say.completion()])
    answering = asyncio.create_task(answer_of(upstream, line.url))
    await provider.asked()

    done, _ = await asyncio.wait([answering], timeout=3)  # three times what a dead one is given
    goes_on.set()

    assert not done
    assert await answering == 200


# --- many at once ----------------------------------------------------------------------------------------------------


async def test_three_hundred_streams_at_once(one_gateway, connect, provider, ask, say, measured):
    """D.5 row 64: the pool has no limit behind which some would wait: all have begun before one has ended."""
    all_there = asyncio.Event()
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("one")), all_there, *say.stream("two")[1:]])
    clients = await asyncio.gather(*(connect(one_gateway) for _ in range(300)))
    since = time.perf_counter()

    for client in clients:
        client.ask(ask())
    answers = await asyncio.gather(*(client.head() for client in clients))
    await asyncio.gather(*(client.event(answer) for client, answer in zip(clients, answers, strict=True)))
    begun = len(provider.requests)
    measured("300 streams begun", time.perf_counter() - since, "s")
    all_there.set()
    await asyncio.gather(*(client.rest(answer) for client, answer in zip(clients, answers, strict=True)))

    assert begun == 300
    assert len({id(request.connection) for request in provider.requests}) == 300
    assert [answer.is_whole and answer.events[-1] for answer in answers] == [b"[DONE]"] * 300


# --- errors that take their time -------------------------------------------------------------------------------------

ERROR_HEAD = b"HTTP/1.1 500 Oops\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture
async def trickling_url(tcp_server):
    """Refuses everybody, and says why a byte at a time, without end."""

    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ERROR_HEAD)
        while not writer.is_closing():
            writer.write(b"1\r\n \r\n")
            await asyncio.sleep(0.02)

    async with tcp_server(refuse) as port:
        yield f"http://127.0.0.1:{port}/v1"


async def test_an_error_that_trickles_in_does_not_delay_the_next_target(
    start, asked, trickling_url, provider, provider_url, say, measured
):
    """Silence is counted in events, of which these bytes are none."""
    provider.on("real-b", [say.completion()])
    gateway = start(a=trickling_url, b=provider_url, small_numbers=True)

    answer, seconds = await asked(gateway)

    measured("until the next answered", seconds, "s")
    assert answer.headers["x-tfy-resolved-model"] == "b/chat"
    assert seconds < SOON_S


async def test_errors_without_end_are_not_read_to_their_end(start, asked, trickling_url, provider, provider_url, say):
    """A slow one is part of the time for its attempt; a fast one is cut off, and its connection closed."""
    provider.on("real-flood", itertools.chain([ERROR_HEAD], itertools.repeat(say.chunk(b" " * 8192))))
    provider.on("real-good", [say.completion()])
    gateway = start(trickle=trickling_url, flood=provider_url, good=provider_url)

    answer, seconds = await asked(gateway, x_tfy_request_timeout="1000")

    assert await attempts_of(gateway, answer) == [
        ("trickle/chat", TIMED_OUT),
        ("flood/chat", (500, "upstream_error")),
        ("good/chat", GOOD),
    ]
    assert seconds < SOON_S
    await provider.requests[0].seconds_until_closed(0)
    gateway.assert_sound()
