"""From a call to a provider's answer."""

import msgspec
import pytest

from gateway.contract import Ask, Call, Endpoint, Target, UpstreamRequest
from gateway.dialects import CHAT
from gateway.dispatch import MAX_ERROR_BODY, dispatch
from gateway.errors import BrokeOff, Refused, Unreachable
from gateway.exchange import Exchange
from gateway.testing import FakeUpstream

CALL = Call(CHAT, Ask(model="a/m"), {"model": msgspec.Raw(b'"a/m"')})
REQUEST = UpstreamRequest(Endpoint("http://provider.test/x"), b"{}", ("user",))


class Provider:
    """Sends always the same, and keeps the refusals it is asked to read."""

    def __init__(self):
        self.refusals = []

    def request(self, call, target):
        return REQUEST

    def refusal(self, call, status, headers, body):
        self.refusals.append((status, dict(headers), body))
        return Refused("no", status=status)


def target_of(provider, **options):
    return Target(name="a/m", model="m", model_types=frozenset({"chat"}), provider=provider, **options)


async def test_a_good_status_is_an_answer():
    exchange, network = Exchange(), FakeUpstream((200, [b"{}"]))
    target = target_of(Provider())

    answered = await dispatch(exchange, CALL, [target], network)

    assert answered == (target, network.replies[0])
    assert network.requests == [REQUEST]
    assert not network.replies[0].is_closed
    assert (exchange.target, exchange.upstream_status, exchange.dropped_params) == (target, 200, ("user",))


@pytest.mark.parametrize("status", [300, 302, 400, 401, 404, 429, 500, 503])
async def test_any_other_is_the_providers_to_word(status):
    provider, exchange = Provider(), Exchange()
    network = FakeUpstream((status, [b"a", b"b"], {"x": "1", "content-type": "text/plain"}))

    with pytest.raises(Refused, match="no"):
        await dispatch(exchange, CALL, [target_of(provider)], network)

    assert provider.refusals == [(status, {"x": "1", "content-type": "text/plain"}, b"ab")]
    assert network.replies[0].is_closed
    assert exchange.upstream_status == status


async def test_an_error_that_breaks_off_is_still_an_error():
    provider = Provider()
    network = FakeUpstream((500, [b"a", BrokeOff("cut")]))

    with pytest.raises(Refused):
        await dispatch(Exchange(), CALL, [target_of(provider)], network)

    assert provider.refusals[0][2] == b"a"


async def test_an_error_without_end_is_not_read_to_it():
    provider = Provider()
    network = FakeUpstream((500, [65536 * b"x"] * 1000))

    with pytest.raises(Refused):
        await dispatch(Exchange(), CALL, [target_of(provider)], network)

    assert len(provider.refusals[0][2]) == MAX_ERROR_BODY
    assert network.replies[0].is_closed


async def test_a_target_may_answer_by_itself():
    own, network = FakeUpstream((200, [b"{}"])), FakeUpstream((200, [b"{}"]))

    await dispatch(Exchange(), CALL, [target_of(Provider(), upstream=own)], network)

    assert (len(own.requests), len(network.requests)) == (1, 0)


async def test_a_call_that_fails_is_told():
    exchange = Exchange()

    with pytest.raises(Unreachable):
        await dispatch(exchange, CALL, [target_of(Provider())], FakeUpstream(Unreachable("nobody")))

    assert (exchange.target.name, exchange.upstream_status) == ("a/m", None)
