"""From a call to a provider's answer: asks targets until one answers."""

from collections.abc import Sequence
from time import perf_counter

from gateway.contract import Call, Reply, Target, Upstream
from gateway.errors import BrokeOff
from gateway.exchange import Exchange

MAX_ERROR_BODY = 256 * 1024


async def dispatch(
    exchange: Exchange, call: Call, targets: Sequence[Target], network: Upstream
) -> tuple[Target, Reply]:
    """The target that answered and its reply, whose head has been read and whose status is good.

    Raises:
        UpstreamError: no target answered; the error is the last one's.
    """
    target = targets[0]
    exchange.target = target
    request = target.provider.request(call, target)
    exchange.dropped_params = request.dropped_params
    exchange.sent_at = perf_counter()
    reply = await (target.upstream or network).call(request)
    exchange.upstream_status = reply.status
    if reply.status < 300:
        return target, reply
    try:
        body = await _read_error(reply)
    finally:
        reply.close()
    exchange.first_byte_at = exchange.last_byte_at = perf_counter()
    raise target.provider.refusal(call, reply.status, reply.headers, body)


async def _read_error(reply: Reply) -> bytes:
    parts = []
    size = 0
    try:
        while size < MAX_ERROR_BODY and (data := await reply.read()):
            parts.append(data)
            size += len(data)
    except BrokeOff:
        pass  # the status says enough
    return b"".join(parts)
