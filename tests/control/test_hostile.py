"""Whatever is sent, it is the sender's mistake and not ours, and the log stays one line for each event."""

import asyncio
import io
import re

import msgspec
import pytest

from gateway.control.routes import BASE, ROUTES
from gateway.logs import configure_logs
from gateway.state.sinks.log import LogSink
from gateway.testing import request

LONG = "x" * 500_000
TEXTS = {
    "sql": "'; DROP TABLE tokens; --",
    "sql like": "%' OR '1'='1",
    "line break": "a\r\nb",
    "nul": "a\0b",
    "escape": "\x1b[31mred",
    "c1": "a\x9bb",
    "right to left": "a\u202eb",
    "emoji": "\U0001f600",
    "reference": "tfy-secret://gateway:gateway:pepper",
    "variable": "${GATEWAY_PEPPER}",
    "template": "{{7*7}}",
    "path": "../../etc/passwd",
    "long": LONG,
    "empty": "",
    "space": " ",
}
DEEP = b'{"a":' * 100_000
NOT_SO_DEEP = b'{"manifest":{"type":"team","name":"deep","members":[],"x":' + b"[" * 700 + b"]" * 700 + b"}}"
BODIES = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "a text": b'"x"',
    "a number": b"1e999",
    "broken": b'{"',
    "not utf-8": b'{"name":"\xff"}',
    "half a pair": rb'{"name":"\ud800","email":"\ud800@x","manifest":{"type":"team","name":"\ud800","members":[]}}',
    "raw surrogate": b'{"name":"\xed\xa0\x80"}',
    "twice": b'{"manifest":{},"manifest":{"type":"team"}}',
    "deep": DEEP,
    "not so deep": NOT_SO_DEEP,
    "wrong types": b'{"manifest":1,"name":2,"email":3,"secrets":4,"type":5,"version":"6","teams":7,"dryRun":8}',
    "lists": b'{"manifest":[],"name":[],"email":[],"secrets":[],"type":[],"version":[],"teams":[[]],"dryRun":[]}',
    "objects": b'{"manifest":{"type":{},"name":{}},"name":{},"email":{},"secrets":{},"type":{},"version":{}}',
    "inner lists": b'{"manifest":{"type":"team","name":"x","members":[[]],"managers":{"a":1}},"secrets":[[]]}',
    "numbers": b'{"manifest":{"type":"team","name":-1},"version":-9223372036854775809,"type":"team","name":"x"}',
}


def body_of(text):
    """Everything that any route reads, with this text in it."""
    manifest = {"type": "role-binding", "name": text, "subjects": [{"type": "user", "name": text or "x"}]}
    manifest |= {"permissions": [{"resourceType": text, "resourceFqn": text, "role": text}], text: text}
    return {
        "manifest": manifest,
        "type": text,
        "name": text,
        "version": 1,
        "email": text,
        "teams": [text],
        "secrets": [{"key": text, "value": text}],
        "expirationDate": text,
    }


@pytest.fixture
async def logged(open_app):
    """An Api, and the lines of its log so far."""
    stream = io.BytesIO()
    configure_logs(io.TextIOWrapper(stream, write_through=True))
    api = await open_app(sinks=[LogSink(stream)])
    await api.done(api.apply({"type": "team", "name": "red", "members": []}))
    await api.done(api.apply({"type": "secret-group", "name": "red"}))

    async def lines():
        await api.app.close()
        return stream.getvalue().decode().removesuffix("\n").split("\n")

    api.lines = lines
    return api


async def check(api, answers):
    """None is a fault of ours; each line of the log is JSON, and drives no terminal."""
    assert [(asked, answer.status, answer.body) for asked, answer in answers if not 200 <= answer.status < 500] == []
    lines = await api.lines()
    assert [line for line in lines if re.search(r"[\x00-\x1f\x7f]", line)] == []
    events = [msgspec.json.decode(line) for line in lines]
    assert [event for event in events if "traceback" in event] == []
    assert max(len(event.get("error_message") or "") for event in events) < 5_000


async def test_bodies(logged):
    answers = []
    for name, body in BODIES.items():
        for route in ROUTES:
            if route.body is not None:
                path = re.sub(r"\{\w+\}", "red", route.path)
                answers.append((f"{name}: {path}", await logged.ask(route.method, path, body)))

    await check(logged, answers)


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in TEXTS.items()])
async def test_texts(logged, text):
    answers = []
    for route in ROUTES:
        if route.body is not None:
            path = re.sub(r"\{\w+\}", "red", route.path)
            answers.append((route.path, await logged.ask(route.method, path, body_of(text))))
    for type_, fields in (
        ("team", {"members": [text]}),
        ("role", {"permissions": [text]}),
        ("secret-group", {}),
        ("virtual-account", {"permissions": [{"resource_fqn": text, "resource_type": text, "role_id": text}]}),
        ("provider-account/demo", {"collaborators": [{"subject": text, "role_id": text}], "delay_s": text}),
        ("identity-provider", {"issuer": f"https://{text}", "audiences": [text], "jwks_uri": text}),
        (text, {}),
    ):
        for name in (text, "plain"):
            answers.append((type_, await logged.apply({"type": type_, "name": name, **fields, "tags": {text: text}})))
            answers.append((type_, await logged.delete(type_, name)))

    await check(logged, answers)


PATHS = [
    "%27%3B--",
    "%00",
    "a%0d%0ab",
    "%ff",
    "%ed%a0%80",
    "..",
    "%2e%2e",
    "%C2%9B31m",
    "%E2%80%AE",
    "x" * 3000,
    "%20",
    "*",
]
QUERIES = [
    "limit=-1",
    "limit=%00",
    "limit=99999999999999999999",
    "limit=%D9%A3",
    "before=-1&limit=x",
    "type=%00&name=%00",
    "type=%ff&name=%ff",
    "type=a%0d%0ab&name=%1b",
    "type=team&name=" + "x" * 3000,
    "type=team&name=%ED%A0%80",
    "subject=%00",
    "subject=user:",
    "all=maybe",
    "&&==&",
    "name=%27%20OR%201=1--&type=team",
]


async def test_paths(logged):
    answers = []
    for route in ROUTES:
        for part in PATHS:
            path = re.sub(r"\{\w+\}", lambda _, part=part: part, route.path)
            if path != route.path:
                answers.append((path, await logged.ask(route.method, path, {"email": "a@b", "secrets": []})))

    await check(logged, answers)


async def test_queries(logged):
    answers = []
    for route in ROUTES:
        for query in QUERIES:
            # The stream does not end by itself; it reads its query as the list does.
            if route.method == "GET" and "{" not in route.path and route.path != "/requests/stream":
                path = f"{route.path}?{query}"
                answers.append((path, await logged.ask("GET", path)))

    await check(logged, answers)


async def test_tokens(logged):
    tokens = [b"\xff" * 50, b"x" * 15_000, b"' OR 1=1", b"", b"Bearer", b"eyJ.eyJ.x", b"gwp_" + b"0" * 38]
    statuses = []
    for token in tokens:
        headers = {"authorization": f"Bearer {token.decode('latin-1')}"}
        statuses.append((await request(logged.app, "GET", f"{BASE}/me", headers=headers)).status)

    assert statuses == [401] * len(tokens)
    await check(logged, [])


async def test_a_body_that_is_too_large(api):
    """It is refused before it is read."""
    async with asyncio.timeout(10):
        answer = await api.refused(api.ask("PUT", "/apply", b" " * 5_000_000))

    assert answer == (413, "the request body is over 4,194,304 bytes; send less, or raise the gateway's limit")


async def test_as_deep_as_a_file_may_be(api):
    """Deeper ones could be stored and not shown: the history, which writes them as YAML, would fail for everybody."""
    manifest = {"type": "team", "name": "deep", "members": []}

    def nested(depth):
        return [nested(depth - 1)] if depth > 1 else []

    await api.done(api.apply({**manifest, "tags": {"x": nested(98)}}))
    assert await api.refused(api.apply({**manifest, "tags": {"x": nested(99)}})) == (
        400,
        "the manifest is nested deeper than 100",
    )
    await api.done(api.ask("GET", "/history"))


async def test_a_long_name_in_a_fault(api):
    """The path to what is wrong may lead through a name of any length."""
    headers = {LONG: 5}
    model = {"type": "integration/model/self-hosted-model", "name": "m", "headers": headers}

    _, message = await api.refused(
        api.apply({"type": "provider-account/self-hosted-model", "name": "x", "integrations": [model]})
    )

    assert len(message) < 5_000
