"""Virtual models as people use them: OpenAI's SDK, a gateway process, and providers that fail in every way."""

import asyncio
import json
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from random import Random

import openai
import pytest
import trustme
from openai import AsyncOpenAI

HELLO = [{"role": "user", "content": "Say hello"}]


@pytest.fixture
def accounts(account, provider_url):
    """`accounts("a", "b")`: all are the provider of the test, where their models are `real-a` and `real-b`."""

    def make(*names, url=provider_url, **fields):
        made = []
        for name in names:
            data = account(name, url)
            data["integrations"][0] |= {"hosted_model_name": f"real-{name}", **fields}
            made.append(data)
        return made

    return make


def virtual(*targets, kind="priority", **routing):
    """The model `v/m`; of priorities, the first comes first. A target is asked once unless it says otherwise."""
    usual = {"retry_config": {"attempts": 1}}
    rows = [{**usual, **(each if isinstance(each, dict) else {"target": f"{each}/chat"})} for each in targets]
    extra = "priority" if kind == "priority" else "weight"
    rows = [{extra: 50 if kind == "weight" else number, **row} for number, row in enumerate(rows)]
    config = {"type": f"{kind}-based-routing", "load_balance_targets": rows, **routing}
    model = {"type": "integration/model/virtual", "name": "m", "model_types": ["chat"], "routing_config": config}
    return {"type": "provider-account/virtual-model", "name": "v", "integrations": [model]}


def twice(name, delay=1):
    return {"target": f"{name}/chat", "retry_config": {"attempts": 2, "delay": delay}}


@pytest.fixture
async def client_of(token):
    """`client_of(gateway)`: an SDK that asks once, so that what it sees is what the gateway did."""
    clients = []

    def make(gateway, **options):
        clients.append(AsyncOpenAI(base_url=gateway.url, api_key=token, **{"timeout": 30, "max_retries": 0, **options}))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


async def asked_once(client, **options):
    """The status, and who answered."""
    try:
        answer = await client.chat.completions.with_raw_response.create(model="v/m", messages=HELLO, **options)
    except openai.APIStatusError as error:
        return error.status_code, None
    return answer.http_response.status_code, answer.headers["x-tfy-resolved-model"]


async def many(client, count, at_once=10):
    limit = asyncio.Semaphore(at_once)

    async def one():
        async with limit:
            return await asked_once(client)

    return await asyncio.gather(*(one() for _ in range(count)))


def models_of(provider):
    return [request.fields["model"] for request in provider.requests]


def refused(say, status=500, **headers):
    error = {"error": {"message": "no", "type": "server_error"}}
    return [say.whole(error, status=status, headers={name.replace("_", "-"): v for name, v in headers.items()})]


# --- how much is asked -----------------------------------------------------------------------------------------------


async def test_half_of_all_answers_are_errors(gateway_process, accounts, client_of, provider, say, measured):
    """Retries must not turn a provider's bad day into twice the traffic."""
    random = Random(7)
    scripts = [refused(say) if random.random() < 0.5 else [say.completion()] for _ in range(400)]
    provider.on("real-a", *scripts)
    gateway = gateway_process(config=json.dumps([*accounts("a"), virtual(twice("a"))]))

    answers = await many(client_of(gateway), 200)

    measured("calls upstream for 200 requests", len(provider.requests), "")
    assert 200 < len(provider.requests) <= 200 * 1.2 + 3
    assert {status for status, _ in answers} == {200, 500}
    gateway.assert_sound()


async def test_all_targets_are_down(gateway_process, accounts, client_of, provider, say):
    for name in ("a", "b", "c"):
        provider.on(f"real-{name}", refused(say, 503))
    gateway = gateway_process(config=json.dumps([*accounts("a", "b", "c"), virtual(twice("a"), twice("b"), "c")]))

    answers = await many(client_of(gateway), 100)

    assert answers == [(503, None)] * 100
    assert 100 < len(provider.requests) <= 100 * 1.2 + 3
    gateway.assert_sound()


async def test_a_target_that_flaps_is_soon_left_alone(gateway_process, accounts, client_of, provider, say):
    """Each of its failures is made good by the other."""
    provider.on("real-a", *[[say.completion()], refused(say)] * 50)
    provider.on("real-b", [say.completion()])
    gateway = gateway_process(config=json.dumps([*accounts("a", "b"), virtual("a", "b")]))
    client = client_of(gateway)

    answers = [await asked_once(client) for _ in range(20)]

    assert answers == [(200, "a/chat"), (200, "b/chat"), (200, "a/chat"), *[(200, "b/chat")] * 17]
    assert models_of(provider).count("real-a") == 4


# --- failures that lead to the next ----------------------------------------------------------------------------------


async def test_a_slow_first_token(gateway_process, accounts, client_of, provider, say):
    provider.on("real-a", [say.STREAM, say.chunk(b": wait\n\n"), provider.STALL])
    provider.on("real-b", say.stream("hel", "lo"))
    gateway = gateway_process(config=json.dumps([*accounts("a", "b"), virtual("a", "b")]))

    stream = await client_of(gateway).chat.completions.create(
        model="v/m", messages=HELLO, stream=True, extra_headers={"x-tfy-ttft-timeout-ms": "200"}
    )
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert text == "hello"
    assert stream.response.headers["x-tfy-resolved-model"] == "b/chat"
    assert models_of(provider) == ["real-a", "real-b"]
    async with asyncio.timeout(10):
        await provider.requests[0].closed.wait()


@pytest.mark.parametrize(
    ("headers", "order", "at_least_s"),
    [
        ({"retry_after": "1"}, ["real-a", "real-a"], 1.0),
        ({"retry_after": "300"}, ["real-a", "real-b"], 0.0),
        ({"retry_after": "Fri, 31 Dec 2100 23:59:59 GMT"}, ["real-a", "real-b"], 0.0),
        ({"retry_after": "Thu, 01 Jan 1970 00:00:00 GMT"}, ["real-a", "real-a"], 0.0),
        ({"retry_after_ms": "200"}, ["real-a", "real-a"], 0.2),
        ({"retry_after_ms": "200", "retry_after": "300"}, ["real-a", "real-a"], 0.2),
        ({"retry_after": "soon"}, ["real-a", "real-a"], 0.0),
        ({}, ["real-a", "real-a"], 0.0),
    ],
)
async def test_a_provider_says_when_to_come_back(
    gateway_process, accounts, client_of, provider, say, headers, order, at_least_s
):
    provider.on("real-a", refused(say, 429, **headers), [say.completion()])
    provider.on("real-b", [say.completion()])
    gateway = gateway_process(config=json.dumps([*accounts("a", "b"), virtual(twice("a"), "b")]))

    began = time.monotonic()
    status, _ = await asked_once(client_of(gateway))

    assert status == 200
    assert time.monotonic() - began >= at_least_s
    assert models_of(provider) == order


async def test_without_another_target_the_client_is_told_when(gateway_process, accounts, client_of, provider, say):
    """The SDK waits then as it would without a gateway."""
    provider.on("real-a", refused(say, 429, retry_after="300"))
    gateway = gateway_process(config=json.dumps([*accounts("a"), virtual(twice("a"))]))

    with pytest.raises(openai.RateLimitError) as told:
        await client_of(gateway).chat.completions.create(model="v/m", messages=HELLO)

    assert told.value.response.headers["retry-after"] == "300"
    assert models_of(provider) == ["real-a"]


async def test_a_client_that_waits_no_longer(gateway_process, accounts, client_of, provider, say):
    """The SDK says how long it waits: a pause that ends after that is not begun."""
    provider.on("real-a", refused(say, 429, retry_after="4"))
    provider.on("real-b", [say.completion()])
    gateway = gateway_process(config=json.dumps([*accounts("a", "b"), virtual(twice("a"), "b")]))

    assert await asked_once(client_of(gateway, timeout=3.0)) == (200, "b/chat")
    assert models_of(provider) == ["real-a", "real-b"]


@pytest.mark.parametrize("where", ["nobody listens", "no such name"])
async def test_nobody_is_there(gateway_process, accounts, client_of, provider, say, nowhere_url, where):
    url = {"nobody listens": nowhere_url, "no such name": "http://no-such-host.invalid/v1"}[where]
    provider.on("real-b", [say.completion()])
    config = [*accounts("a", url=url), *accounts("b"), virtual("a", "b")]
    gateway = gateway_process(config=json.dumps(config))
    client = client_of(gateway)

    assert await asked_once(client) == (200, "b/chat")
    with pytest.raises(openai.InternalServerError) as told:
        await client.chat.completions.create(model="a/chat", messages=HELLO)
    assert (told.value.status_code, told.value.code) == (502, "upstream_unreachable")
    assert "('127.0.0.1'" not in told.value.message
    gateway.assert_sound()


@pytest.mark.parametrize("fault", ["unknown authority", "expired", "another name"])
async def test_a_certificate_that_is_not_valid(gateway_process, accounts, client_of, provider, say, fault):
    """The provider may be anybody, so it is sent nothing."""
    authority = trustme.CA()
    past = {"not_before": datetime.now(UTC) - timedelta(days=9), "not_after": datetime.now(UTC) - timedelta(days=1)}
    certificate = authority.issue_cert(
        "other.test" if fault == "another name" else "127.0.0.1", **(past if fault == "expired" else {})
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    sock = socket.create_server(("127.0.0.1", 0))
    await provider.listen(sock, ssl=context)
    known = {} if fault == "unknown authority" else {"tls_settings": {"ca_cert": authority.cert_pem.bytes().decode()}}
    url = f"https://127.0.0.1:{sock.getsockname()[1]}/v1"
    provider.on("real-a", [say.completion()])
    provider.on("real-b", [say.completion()])
    config = [*accounts("a", url=url, **known), *accounts("b"), virtual("a", "b")]
    gateway = gateway_process(config=json.dumps(config))
    client = client_of(gateway)

    assert await asked_once(client) == (200, "b/chat")
    with pytest.raises(openai.InternalServerError, match="its certificate is not valid") as told:
        await client.chat.completions.create(model="a/chat", messages=HELLO)

    assert told.value.code == "upstream_unreachable"
    assert models_of(provider) == ["real-b"]


async def test_not_tls_at_all(gateway_process, accounts, client_of, provider, tcp_server, say):
    async def answer(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")

    provider.on("real-b", [say.completion()])
    async with tcp_server(answer) as port:
        url = f"https://127.0.0.1:{port}/v1"
        gateway = gateway_process(config=json.dumps([*accounts("a", url=url), *accounts("b"), virtual("a", "b")]))

        assert await asked_once(client_of(gateway)) == (200, "b/chat")

    assert models_of(provider) == ["real-b"]


# --- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["RESET", "CLOSE"])
async def test_a_stream_that_breaks_after_its_first_token(gateway_process, accounts, client_of, provider, say, end):
    """The SDK raises, and the prompt is not paid for twice."""
    goes_on = asyncio.Event()
    provider.on("real-a", [say.STREAM, say.chunk(say.event("hel")), goes_on, getattr(provider, end)])
    provider.on("real-b", say.stream("again"))
    gateway = gateway_process(config=json.dumps([*accounts("a", "b"), virtual(twice("a"), twice("b"))]))

    stream = await client_of(gateway).chat.completions.create(model="v/m", messages=HELLO, stream=True)
    first = await anext(stream)
    goes_on.set()
    with pytest.raises(openai.APIError, match="the provider broke off in the middle of its answer"):
        await anext(stream)

    assert first.choices[0].delta.content == "hel"
    assert models_of(provider) == ["real-a"]
    [record] = await gateway.records_of(stream.response.headers["x-request-id"])
    assert (record["outcome"], record["resolved_model"]) == ("upstream_broke", "a/chat")


async def test_a_stream_that_begins_with_an_error(gateway_process, accounts, client_of, provider, say):
    error = say.data({"error": {"message": "overloaded", "type": "overloaded_error"}})
    provider.on("real-a", [say.STREAM, say.chunk(error), say.END])
    provider.on("real-b", say.stream("hello"))
    gateway = gateway_process(config=json.dumps([*accounts("a", "b"), virtual("a", "b")]))

    stream = await client_of(gateway).chat.completions.create(model="v/m", messages=HELLO, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert text == "hello"
    assert models_of(provider) == ["real-a", "real-b"]


# --- sessions --------------------------------------------------------------------------------------------------------


async def test_gateways_agree_on_sessions(gateway_process, accounts, client_of, provider, say):
    """Replicas need nothing but a clock for it. The time is so long that hardly any ends while the test runs."""
    for name in ("a", "b"):
        provider.on(f"real-{name}", [say.completion()])
    sticky = {"ttl_seconds": 1_000_000, "session_identifiers": [{"source": "headers", "key": "X-Session-Id"}]}
    config = json.dumps([*accounts("a", "b"), virtual("a", "b", kind="weight", sticky_routing=sticky)])
    clients = [client_of(gateway_process(config=config)) for _ in range(2)]

    answers = [
        [
            await asked_once(client, extra_headers={"x-session-id": f"session-{number}"})
            for client in (*clients, *clients)
        ]
        for number in range(20)
    ]

    assert [len(set(of_session)) for of_session in answers] == [1] * 20
    assert {answer for of_session in answers for answer in of_session} == {(200, "a/chat"), (200, "b/chat")}
