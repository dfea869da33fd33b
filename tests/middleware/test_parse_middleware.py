"""ParseMiddleware, alone around a foreign app."""

import asyncio
import itertools
import json
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Ask, FormBody, JsonBody, RawBody
from gateway.dialects import CHAT, MESSAGES, TRANSCRIPTIONS
from gateway.errors import BadRequest, ClientLeft, TooLarge
from gateway.middleware import ParseMiddleware
from gateway.proxy.bodies import Bodies
from gateway.proxy.exchange import Exchange
from gateway.testing import http_scope

ASK = b'{"model":"m","messages":[]}'
MIB = 1024 * 1024


class App:
    """A foreign app that keeps the call of its last request, behind the middleware."""

    def __init__(self, dialect=CHAT, max_body_bytes=64 * 1024 * 1024):
        self.dialect = dialect
        self.call = None
        self.parse = ParseMiddleware(self._app, bodies=Bodies(), max_body_bytes=max_body_bytes)

    async def _app(self, scope, receive, send):
        self.call = Exchange.of(scope).call

    async def take(self, *pieces, receive=None, scope=None):
        left = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        left[-1]["more_body"] = False

        async def from_pieces():
            return left.pop(0)

        scope = scope or http_scope("POST", "/", {}, 0)
        Exchange.of(scope).dialect = self.dialect
        await self.parse(scope, receive or from_pieces, None)
        return self.call


@pytest.mark.parametrize("body", [b'{"messages":[]}', b'{"model":"other","messages":[]}'])
async def test_a_model_in_the_path_is_the_one_that_is_asked(body):
    """Azure's clients name the deployment there, and the body has no model, or that of whoever wrote the example."""
    scope = http_scope("POST", "/openai/deployments/acct/m/chat/completions", {}, len(body))
    scope["path_params"] = {"deployment": "acct/m"}
    app = App()

    call = await app.take(body, scope=scope)

    assert call.ask.model == "acct/m"
    assert {name: bytes(value) for name, value in call.fields.items()} == {"model": b'"acct/m"', "messages": b"[]"}
    assert (call.request.path, call.request.path_params) == ("", {})


async def test_a_form_takes_the_model_of_the_path():
    body = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--b--\r\n'
    headers = {"content-type": "multipart/form-data; boundary=b"}
    scope = http_scope("POST", "/openai/deployments/acct/w/audio/transcriptions", headers, len(body))
    scope["path_params"] = {"deployment": "acct/w"}

    call = await App(TRANSCRIPTIONS).take(body, scope=scope)

    assert call.ask.model == "acct/w"
    assert call.request.body.text("model") == "acct/w"


async def test_reads_what_is_asked():
    call = await App().take(b'{"model":"m","stream":true,"max_tokens":9,"messages":[ 1 ],"new":{"a" : 1}}')

    assert (call.ask.model, call.ask.stream, call.ask.max_output_tokens) == ("m", True, 9)
    assert {name: bytes(value) for name, value in call.fields.items()} == {
        "model": b'"m"',
        "stream": b"true",
        "max_tokens": b"9",
        "messages": b"[ 1 ]",
        "new": b'{"a" : 1}',
    }


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
async def test_a_body_in_pieces(size):
    call = await App().take(*(ASK[at : at + size] for at in range(0, len(ASK), size)), b"", b"")

    assert call.ask.model == "m"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b" ", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "has to be a JSON object"),
        (b"1", "has to be a JSON object"),
        (b'"{}"', "has to be a JSON object"),
        (b"null", "has to be a JSON object"),
        (b"model=m", "not JSON"),
        (ASK + b"x", "not JSON"),
        (ASK + ASK, "not JSON"),
        (b"\xef\xbb\xbf" + ASK, "not JSON"),
        (ASK.decode().encode("utf-16"), "not UTF-8"),
        (b'{"model":"m","x":NaN}', "not JSON"),
        (b'{"model":"m","x":Infinity}', "not JSON"),
        (b'{"model":"m","x":-}', "not JSON"),
        (b'{"model":"m","x":01}', "not JSON"),
        (b'{"model":"m",}', "not JSON"),
        (b'{model:"m"}', "not JSON"),
        (b"{'model':'m'}", "not JSON"),
        (b'{"model":"m","x":"\xff"}', r"not UTF-8 \(byte 18\)"),
        (b'{"model":"m","x":"\xed\xa0\x80"}', "not UTF-8"),
        (b'{"model":"m","x":"\xc0\xaf"}', "not UTF-8"),
        (b'{"model":"m","x":"\n"}', "not JSON"),
        (b'{"model":"m","x":"\\ud800"}', r"has \\ud800, half of a surrogate pair"),
        (b'{"model":"m","x":"\\ud83d\\ude00 \\uDE00"}', r"has \\uDE00, half of a surrogate pair"),
        (b'{"model":"m","x":"\\ud83d\\ude00"', "not JSON: Input data was truncated"),
        (b'{"model":"m","x":' + 100_000 * b"[" + 100_000 * b"]" + b"}", "nested too deeply"),
        (b'{"model":"m","x":' + 100_000 * b"[", "nested too deeply"),
        (100_000 * b'{"model":' + b"1" + 100_000 * b"}", "nested too deeply"),
        (b'{"messages":[]}', '"model" is missing'),
        (b'{"model":1}', '"model" is not valid'),
        (b'{"model":null}', '"model" is not valid'),
        (b'{"model":["m"]}', '"model" is not valid'),
        (b'{"model":"m","stream":"yes"}', '"stream" is not valid'),
        (b'{"model":"m","max_tokens":"some"}', '"max_tokens" is not valid'),
        (b'{"model":"m","max_tokens":' + 5000 * b"9" + b"}", '"max_tokens" is not valid'),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_what_cannot_be_read_is_a_400(body, message):
    with pytest.raises(BadRequest, match=message):
        await App().take(body)


@pytest.mark.parametrize(
    "value",
    [
        b"12345678901234567890123456789012345678901234567890",
        b"-" + 5000 * b"9",
        b"1e999",
        b"0.1e-5",
        b'"\\u0000"',
        b'"\\ud83d\\ude00"',
        '"é\U0001f600"'.encode(),
    ],
    ids=lambda value: repr(value)[:20],
)
async def test_unusual_values_stay_as_they_are(value):
    """They are for the provider to judge; a float of Python's would have other digits."""
    call = await App().take(b'{"model":"m","x":' + value + b"}")

    assert bytes(call.fields["x"]) == value


@pytest.mark.parametrize("padding", [0, 2 * MIB])
@pytest.mark.parametrize("name", ["Model", "MODEL", "Messages", "Max_Tokens", "Stream", "me\u017f\u017fages"])
async def test_a_name_that_others_take_for_one_of_ours_is_refused(name, padding):
    """Servers in Go do not mind the case, and believe the last: a caller was checked, limited and billed for one model,
    and had the answer of another. Nothing else of the text is repeated."""
    body = json.dumps({"model": "m", "messages": [], name: 1, "x": padding * " "}, ensure_ascii=False).encode()

    with pytest.raises(BadRequest, match=r'^the field "[a-z_]+" is written in lower case$') as refused:
        await App().take(body)

    assert refused.value.param == name.casefold()


async def test_of_two_equal_keys_the_last_counts():
    """And it is the only one sent on: the provider cannot see another model than the gateway."""
    call = await App().take(b'{"model":"cheap","model":"m"}')

    assert call.ask.model == "m"
    assert {name: bytes(value) for name, value in call.fields.items()} == {"model": b'"m"'}


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":[' + 10_000_000 * b"1," + b"1]}",
        b'{"model":"m","messages":' + 100_000 * b"[" + b"}",
        b'{"model":"m","x":"' + 10_000_000 * b"\\u0061" + b'"}',
    ],
    ids=["10 M elements", "100 k deep", "10 M escapes"],
)
async def test_what_is_meant_to_be_slow_is_not(body):
    """The event loop stands still meanwhile, for all the others."""
    app = App()
    started = time.process_time()

    with suppress(BadRequest):
        await app.take(body)

    assert time.process_time() - started < 1.0


@given(st.binary(max_size=200))
async def test_garbage_is_a_400_and_nothing_else(garbage):
    with suppress(BadRequest):
        await App().take(garbage)


async def test_messages_repeat_nothing_of_the_body():
    with pytest.raises(BadRequest) as raised:
        await App().take(b'{"model":"m","x": my-secret}')

    assert "secret" not in raised.value.message


async def test_a_body_over_the_limit_is_not_read_to_its_end():
    """Without a Content-Length there is nothing else to go by."""
    reads = 0

    async def receive():
        nonlocal reads
        reads += 1
        return {"type": "http.request", "body": 100 * b"x", "more_body": True}

    with pytest.raises(TooLarge, match="over 1,000 bytes"):
        await App(max_body_bytes=1000).take(b"", receive=receive)

    assert reads == 11


async def test_a_body_of_just_the_limit():
    assert (await App(max_body_bytes=len(ASK)).take(ASK)).ask.model == "m"
    with pytest.raises(TooLarge):
        await App(max_body_bytes=len(ASK) - 1).take(ASK)


@pytest.mark.parametrize("before", [[], [{"type": "http.request", "body": ASK[:5], "more_body": True}]])
async def test_a_client_that_leaves_before_its_end(before):
    messages = [*before, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0)

    with pytest.raises(ClientLeft):
        await App().take(b"", receive=receive)


async def test_without_a_dialect_the_body_is_the_apps():
    assert await App(dialect=None).take(b"not json") is None


def body_of(size, text="a "):
    return b'{"model":"m","messages":["' + (size // len(text.encode()) * text).encode() + b'"]}'


@pytest.mark.parametrize("text", ["a ", "é", "\U0001f600", "aé\U0001f600 "])
async def test_a_large_body_is_read_like_a_small_one(text):
    """Its text is looked at in pieces, and no character may be cut by that."""
    body = body_of(3_000_001, text)

    call = await App().take(body)

    assert bytes(call.fields["messages"]) == body[body.index(b"[") : -1]
    assert call.ask == CHAT.parse(call.request)


@pytest.mark.parametrize("at", [30, 1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 3, 2_999_990])
@pytest.mark.parametrize("wrong", [b"\xff", b"\x80", b"\xc3", b"\xed\xa0\x80"])
async def test_says_where_a_large_body_is_no_text(at, wrong):
    body = body_of(3_000_000)
    body = body[:at] + wrong + body[at + len(wrong) :]

    with pytest.raises(BadRequest, match=rf"not UTF-8 \(byte {at}\)"):
        await App().take(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m",' + b",".join(b'"%d":1' % number for number in range(1000)) + b"}",
        b'{"model":"m","x":"' + 300_000 * b"x" + b'",' + b",".join(b'"%d":1' % number for number in range(999)) + b"}",
        b'{"model":"m","x":"' + 300_000 * b"x" + b'"\r\n,\t"\\"" : [ {} ] ' + 998 * b' , "y\\\\" :{"}":1}' + b"}",
        b'{ "model":"m","x":{"y":"' + 300_000 * b"x" + b'"},' + 1_000_000 * b'"":0,' + b'"y":[',
    ],
    ids=["small", "large", "spaces", "a million of no name, and cut"],
)
async def test_a_body_has_no_more_than_a_thousand_fields(body):
    """A million of them took a second to decode, and 400 MB."""
    with pytest.raises(BadRequest, match="more than 1,000 fields"):
        await App().take(body)


@pytest.mark.parametrize("padding", [0, 300_000])
async def test_a_thousand_fields_are_taken_and_more_below_them(padding):
    """Schemas of tools have many, and are none at the top level."""
    fields = {f"f{number}": number for number in range(997)}
    body = {"messages": [{f"f{n}": n} for n in range(20_000)], "x": padding * "x", "model": "m", **fields}

    call = await App().take(json.dumps(body).encode())

    assert len(call.fields) == 1000


@pytest.mark.parametrize("end", [b"", b"]", b"]} ", b"]},", b"]}}", b"],}", b'],"y"}', b'],"y":}', b'],1:"y"}'])
async def test_what_is_wrong_with_a_large_body_is_said_as_of_a_small_one(end):
    """Looking for too many fields must not hide what else there is."""
    app = App()
    answers = []
    for size in (1000, 600_000):
        try:
            answers.append((await app.take(body_of(size)[:-2] + end)).ask.model)
        except BadRequest as error:
            answers.append(error.message.partition("(byte")[0])

    assert answers[0] == answers[1]


async def test_large_bodies_are_read_one_after_the_other():
    """Fifty of 19.5 MB came at once, and whether the gateway is alive could not be said for 10 s. Each step of one has
    a turn of the event loop of its own, so that what is small passes between any two of them."""
    turns = 0
    read_in = []

    class Noting(type(CHAT)):
        def parse(self, request):
            read_in.append(turns)
            return super().parse(request)

    app = App(Noting("chat", "/chat/completions", "chat", prompt="messages"))
    body = body_of(3_000_000, "é")
    large = asyncio.gather(*[app.take(body[:1000], body[1000:]) for _ in range(20)])
    while not large.done():
        turns += 1
        await asyncio.sleep(0)

    assert len(read_in) == 20
    assert min(later - earlier for earlier, later in itertools.pairwise(read_in)) >= 5


async def test_a_large_body_that_is_refused_does_not_keep_others_waiting():
    app = App()

    with pytest.raises(BadRequest):
        await app.take(body_of(600_000)[:-1])

    assert (await app.take(body_of(600_000))).ask.model == "m"


async def test_headers_that_are_for_the_provider():
    """Those that the dialect names, and no others: handlers must never see tokens."""
    app = App(MESSAGES)
    scope = http_scope("POST", "/", {"anthropic-version": "2023-06-01", "authorization": "Bearer x"}, 0)
    scope["headers"] += [(b"anthropic-beta", b"a"), (b"anthropic-beta", b"b,c")]
    Exchange.of(scope).dialect = MESSAGES

    async def receive():
        return {"type": "http.request", "body": ASK, "more_body": False}

    await app.parse(scope, receive, None)

    assert app.call.request.headers == {"anthropic-version": "2023-06-01", "anthropic-beta": "a,b,c"}
    assert (await App(CHAT).take(ASK)).request.headers == {}


class Recordings:
    """A dialect for bytes of any kind."""

    accepts, max_body_bytes, headers = RawBody, 4 * MIB, ()

    def __init__(self, *, sorts_bodies):
        self.sorts_bodies = sorts_bodies

    def parse(self, request):
        return Ask("m")


async def read_as(body, content_type, *, sorts_bodies=True):
    """The body that a handler gets, with all of its bytes."""
    app, whole = App(Recordings(sorts_bodies=sorts_bodies), max_body_bytes=1000), []

    async def keep(scope, receive, send):
        given = Exchange.of(scope).call.request.body
        if isinstance(given, RawBody):
            stored = given.data
            whole.append(stored if isinstance(stored, bytes) else b"".join([piece async for piece in stored]))
        whole.append(given)

    app.parse.app = keep
    scope = http_scope("POST", "/", {"content-type": content_type}, len(body))
    Exchange.of(scope).dialect = app.dialect

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    await app.parse(scope, receive, None)
    return whole


@pytest.mark.parametrize("size", [0, 5, MIB, MIB + 1, 4 * MIB])
async def test_bytes_of_any_kind_may_be_large(size):
    """What is over 1 MiB waits in a file, and can be looked at."""
    body = (bytes(range(256)) * (size // 256 + 1))[:size]

    data, given = await read_as(body, "audio/wav")

    assert (data, len(given.data), given.content_type) == (body, size, "audio/wav")
    assert isinstance(given.data, bytes) == (size <= MIB)
    assert given.beginning[:4096] == body[:4096]


async def test_the_content_type_tells_what_a_body_is():
    form = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\na\r\n--x--\r\n'

    [as_json] = await read_as(b'{"a":1}', "Application/JSON; charset=utf-8")
    [as_form] = await read_as(form, "multipart/form-data; boundary=x")
    data, as_it_is = await read_as(form, "multipart/form-data; boundary=x", sorts_bodies=False)

    assert [type(each) for each in (as_json, as_form, as_it_is)] == [JsonBody, FormBody, RawBody]
    assert (bytes(as_json.fields["a"]), as_form.text("model"), data) == (b"1", "a", form)


async def test_each_kind_has_its_own_limit():
    """JSON is read in memory: it may not be as large as a file."""
    with pytest.raises(TooLarge):
        await read_as(b'{"a":"' + 1000 * b"x" + b'"}', "application/json")
    with pytest.raises(TooLarge):
        await read_as((4 * MIB + 1) * b"x", "audio/wav")
