"""Which models vendors have, by the accounts that offer any."""

import msgspec
import structlog

from gateway.contract import Target, UpstreamRequest
from gateway.contract.provider import Endpoint
from gateway.errors import BrokeOff, Unreachable
from gateway.state.model_lists import ModelLists
from gateway.testing import FakeUpstream


class Vendor:
    """Lists what its answers say, one name a line."""

    def listing(self, target):
        return UpstreamRequest(target.settings, b"")

    def listed(self, target, body):
        if body == b"oops":
            raise ValueError("no list")
        return body.decode().split("\n")


class Lists(ModelLists):
    """One account, `a/*`, and a clock that is moved by hand."""

    def __init__(self, upstream, **fields):
        self.now_s = 1000.0
        self.target = Target(
            name="a/*",
            model="*",
            model_types=frozenset({"chat"}),
            provider=Vendor(),
            settings=Endpoint("https://vendor.example/v1/models", {"x-key": "k-1"}, method="GET"),
            **fields,
        )
        super().__init__(upstream, targets=lambda: {self.target.name: self.target}, clock=lambda: self.now_s)


async def test_the_list_is_asked_for_again_after_some_minutes():
    upstream = FakeUpstream((200, [b"m-1\n", b"org/m-2"]), (200, [b"m-3"]))
    lists = Lists(upstream)

    assert lists.names("a/*") == ()
    await lists.refresh()
    lists.now_s += 299
    await lists.refresh()
    early = lists.names("a/*")
    lists.now_s += 1
    await lists.refresh()

    assert (early, lists.names("a/*")) == (["a/m-1", "a/org/m-2"], ["a/m-3"])
    assert [request.endpoint.head.partition(b"\r\n")[0] for request in upstream.requests] == [
        b"GET /v1/models HTTP/1.1",
        b"GET /v1/models HTTP/1.1",
    ]
    assert all(reply.is_closed for reply in upstream.replies)


async def test_what_was_known_stays_while_the_vendor_fails():
    """A trouble is told once."""
    failures = ((503, [b"busy"]), Unreachable("no connection"), (200, [b"oops"]), (200, [BrokeOff("cut")]))
    lists = Lists(FakeUpstream((200, [b"m-1"]), *failures, (200, [b"m-2"])))
    await lists.refresh()

    with structlog.testing.capture_logs() as logs:
        for _ in failures:
            lists.now_s += 300
            await lists.refresh()
            assert lists.names("a/*") == ["a/m-1"]
    lists.now_s += 300
    await lists.refresh()

    assert lists.names("a/*") == ["a/m-2"]
    reason = "the provider answered with status 503"
    assert logs == [{"event": "models not listed", "log_level": "warning", "account": "a", "reason": reason}]


async def test_an_account_with_another_key_begins_anew():
    """Its vendor may be another one."""
    upstream = FakeUpstream((200, [b"m-1"]), (401, [b"no"]))
    lists = Lists(upstream)
    await lists.refresh()

    lists.target = msgspec.structs.replace(lists.target, settings=lists.target.settings.with_headers({"x-key": "k-2"}))
    await lists.refresh()

    assert lists.names("a/*") == ()


async def test_an_account_that_is_gone_is_forgotten():
    lists = Lists(FakeUpstream((200, [b"m-1"])))
    await lists.refresh()

    lists.target = msgspec.structs.replace(lists.target, name="a/m", account="a")
    await lists.refresh()

    assert lists.names("a/*") == ()


async def test_a_list_has_a_size():
    """Names that nobody could ask for are left out."""
    names = [b"m-%d" % number for number in range(3000)]
    lists = Lists(FakeUpstream((200, [b"\n".join([b"two words", b"", b"x" * 201, b"m-0", *names])])))

    await lists.refresh()

    assert len(lists.names("a/*")) == 2000
    assert lists.names("a/*")[:2] == ["a/m-0", "a/m-1"]


async def test_an_answer_without_end_is_given_up():
    lists = Lists(FakeUpstream((200, [b"x" * 1024 * 1024] * 20)))

    await lists.refresh()

    assert lists.names("a/*") == ()
