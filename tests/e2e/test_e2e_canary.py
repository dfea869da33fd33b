"""Planted secrets: whatever goes wrong, none is found in what the gateway writes, or where it does not belong."""

import json

import pytest

TOKEN = "canary-caller-token-5d1f"
KEY = "canary-provider-key-8a2c"
PROMPT = "canary-prompt-3e7b"
HEADER = "canary-header-91d0"
ANSWER = "canary-answer-c44e"
PEPPER = "canary-pepper-7f30"

TRACEBACK = f"""\
Traceback (most recent call last):
  File "/srv/model/server.py", line 7, in handle
    authorize(headers={{"Authorization": "Bearer {KEY}"}}, prompt={PROMPT!r})
RuntimeError: out of memory
"""


@pytest.fixture
def gateway(gateway_process, account, provider_url, nowhere_url, server):
    accounts = [account("mock", provider_url, KEY), account("nowhere", nowhere_url, KEY)]
    return gateway_process(
        server=server, config=json.dumps(accounts), environ={"GATEWAY_ADMIN_TOKEN": TOKEN, "GATEWAY_PEPPER": PEPPER}
    )


@pytest.fixture
def call(gateway, connect, ask):
    """Asks with everything planted, and returns the whole answer as text."""

    async def call(model="mock/chat", token=TOKEN, **fields):
        client = await connect(gateway)
        headers = {"authorization": f"Bearer {token}", "cookie": f"session={HEADER}", "x_own": HEADER}
        client.ask(ask(model, PROMPT, user=PROMPT, metadata={"note": PROMPT}, **fields), **headers)
        answer = await client.answer()
        assert (await gateway.records_of(answer.id))[0]["status"] == answer.status
        return answer.status, f"{answer.headers} {answer.body.decode()}"

    return call


async def test_no_secret_is_written_anywhere(gateway, provider, call, connect, say, terminate):
    echo = {"error": {"message": f"Incorrect API key provided: {KEY}", "type": "invalid_request_error"}}
    cut = [say.STREAM, say.chunk(say.event(ANSWER)), provider.CLOSE]
    told = [say.STREAM, say.chunk(say.event(ANSWER)), say.chunk(say.data(echo)), say.END]
    provider.on(
        "real-chat",
        say.stream(ANSWER),
        [say.whole(echo, 401)],
        [say.whole(TRACEBACK.encode(), 500)],
        [say.whole({"error": {"message": f"Bearer {KEY} is not valid", "type": "x"}}, 403)],
        cut,
        told,
        [b"\x16\x03\x01 not HTTP at all " + KEY.encode() + b"\r\n\r\n", provider.CLOSE],
        [provider.CLOSE],
    )

    answers = [
        await call(),
        await call(stream=False),
        await call(stream=False),
        await call(),
        await call(),
        await call(),
        await call(stream=False),
        await call(stream=False),
        await call("nowhere/chat"),
        await call("nobody/knows"),
        await call(token=f"{TOKEN}x"),
        await call(n=PROMPT, stream=PROMPT),
    ]
    client = await connect(gateway)
    for path in ("/readyz", "/metrics", f"/nothing-{HEADER}", f"/v1/models?key={HEADER}"):
        await client.get(path)
    client.send(b"GET / HTTP/1.1\r\nauthorization: " + TOKEN.encode() + b"\x00\r\n\r\n")
    await client.ended()
    terminate(gateway)
    assert await gateway.exit_code() == 0

    assert [status for status, _ in answers] == [200, 401, 500, 403, 200, 200, 502, 502, 502, 404, 401, 400]
    to_the_caller = " ".join(text for _, text in answers[:5] + answers[6:])
    for secret in (KEY, TOKEN, HEADER, PROMPT):
        assert secret not in to_the_caller
    written = gateway.out + gateway.err
    kept = b"".join(file.read_bytes() for file in (gateway.folder / ".gateway").glob("gateway.db*"))
    for secret in (KEY, TOKEN, PROMPT, ANSWER, PEPPER):
        assert secret not in written
        assert secret.encode() not in kept
    assert f"session={HEADER}" not in written
    assert [line["path"] for line in gateway.log if HEADER in str(line)] == [
        f"/nothing-{HEADER}"
    ]  # as it was asked for
    assert "Traceback" not in written
    assert len([line for line in gateway.log if line["event"] == "request"]) == len(answers) + 2


async def test_nothing_of_the_callers_reaches_the_provider_but_the_call(gateway, provider, call, say):
    """Its token is for the gateway, its cookies for nobody."""
    provider.on("real-chat", [say.completion()])

    await call(stream=False)

    [asked] = provider.requests
    assert TOKEN.encode() not in asked.head + asked.body
    assert HEADER.encode() not in asked.head + asked.body
    assert f"authorization: Bearer {KEY}\r\n".encode() in asked.head
    assert asked.fields["user"] == PROMPT
