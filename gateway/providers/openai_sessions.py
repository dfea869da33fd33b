"""Requests about realtime sessions for those who speak OpenAI's API: to open one, to prepare one, and about calls."""

from secrets import token_hex
from urllib.parse import quote, urlencode

import msgspec

from gateway.contract import Call, Endpoint, FormBody, RawBody, Target, UpstreamRequest
from gateway.wire.address import address_of
from gateway.wire.form import upload_to
from gateway.wire.realtime import query_for
from gateway.wire.session_config import CALL_ID, CALLS, config_of, model_place, place_in, with_model

_encode = msgspec.json.Encoder().encode


def handshake(endpoint: Endpoint, call: Call, target: Target) -> UpstreamRequest:
    """For a WebSocket: the model stands in the query."""
    place = address_of(endpoint.url).target
    call_id = call.request.path_params.get(CALL_ID)
    query = query_for(target.model, call.request.query) if call_id is None else urlencode([(CALL_ID, call_id)])
    there = endpoint.at(f"{place}{'&' if '?' in place else '?'}{query}", method="GET")
    return UpstreamRequest(there.with_headers(call.request.headers), b"", opens_socket=True)


def prepared_session(endpoint: Endpoint, call: Call, target: Target) -> UpstreamRequest:
    """A session, with its model deep in the body."""
    place = address_of(endpoint.url).target
    root, mark, query = place.partition("?")
    there = endpoint.at(root + call.request.route.removeprefix("/realtime") + mark + query)
    fields = with_model(call.fields, model_place(call.request.route, call.fields), target.model)
    return UpstreamRequest(there.with_headers(call.request.headers), _encode(fields))


def about_call(endpoint: Endpoint, call: Call, target: Target) -> UpstreamRequest:
    """A call, with the model of its session where that is told. An offer by itself comes with a key that knows it."""
    asked, config = call.request, config_of(call.request)
    root, mark, query = address_of(endpoint.url).target.partition("?")
    below_it = asked.route.removeprefix(CALLS).replace("{id}", quote(asked.path_params.get("id", ""), safe=""))
    there = endpoint.at(root + below_it + mark + query).with_headers(asked.headers)
    if config is None:
        if isinstance(asked.body, RawBody):
            return UpstreamRequest(there.with_headers({"content-type": "application/sdp"}), asked.body.beginning)
        return UpstreamRequest(there, _encode(call.fields))
    session = with_model(config, place_in(config), target.model)
    if isinstance(asked.body, FormBody):
        parts = asked.body.with_texts({"session": _encode(session).decode()}).parts
        return upload_to(there, parts, token_hex(16))
    return UpstreamRequest(there, _encode({**call.fields, "session": session} if asked.route == CALLS else session))
