"""Forms on their way: what is sent on, to whom, how often, and what it costs."""

import json

import pytest

from gateway.contract import FormPart
from gateway.contract.usage import Usage
from gateway.testing import FakeUpstream, request
from gateway.wire.form import FormReader, form_of

PATH = "/v1/audio/transcriptions"
LARGE = bytes(range(256)) * 6250
"""A file of 1.6 MB: 200 s of MP3."""
HEARD = (200, [b'{"text":"hello"}'])


def account(name, **fields):
    model = {
        "type": "integration/model/self-hosted-model",
        "name": "m",
        "hosted_model_name": f"real-{name}",
        "url": f"http://{name}.internal/v1",
        "model_server": "openai-compatible",
        "model_types": ["audio_transcription", "text_to_speech"],
        "auth_data": {"type": "bearer-auth", "bearer_token": "provider-key"},
        **fields,
    }
    return {"type": "provider-account/self-hosted-model", "name": name, "integrations": [model]}


def virtual(*targets):
    routing = {"type": "priority-based-routing", "load_balance_targets": list(targets)}
    types = ["audio_transcription"]
    model = {"type": "integration/model/virtual", "name": "m", "model_types": types, "routing_config": routing}
    return {"type": "provider-account/virtual-model", "name": "v", "integrations": [model]}


def form(model, data=b"sound"):
    parts = [FormPart("file", data, "a.mp3", "audio/mpeg"), FormPart("model", model.encode())]
    return form_of(parts, "from-the-client")


def parts_of(request):
    content_type = request.endpoint.head.partition(b"content-type: ")[2].partition(b"\r\n")[0].decode()
    reader = FormReader(content_type)
    reader.feed(request.body)
    return [(part.name, part.data, part.filename, part.content_type) for part in reader.end().parts]


@pytest.fixture
def send(app_with, tmp_path, auth):
    """`await send(upstream, manifests, form)`; the app is kept as `send.app`."""

    async def send(upstream, manifests, form, path=PATH):
        config = tmp_path / "uploads.yaml"
        config.write_text(json.dumps(manifests))
        send.app = app_with(upstream, config)
        content_type, data = form
        return await request(send.app, "POST", path, data, headers={**auth, "content-type": content_type})

    return send


@pytest.mark.parametrize("data", [b"sound", LARGE], ids=["small", "large"])
async def test_another_target_gets_the_same(send, data):
    upstream = FakeUpstream((503, [b"busy"]), HEARD)
    targets = [{"target": f"{name}/m", "priority": at, "retry_config": {"attempts": 1}} for at, name in enumerate("ab")]

    answer = await send(upstream, [account("a"), account("b"), virtual(*targets)], form("v/m", data))

    assert (answer.status, answer.json()) == (200, {"text": "hello"})
    assert [parts_of(request) for request in upstream.requests] == [
        [("file", data, "a.mp3", "audio/mpeg"), ("model", model, None, None)] for model in (b"real-a", b"real-b")
    ]
    assert [request.length is None for request in upstream.requests] == 2 * [data == b"sound"]


async def test_what_a_route_changes_is_changed_in_the_form(send):
    upstream = FakeUpstream(HEARD)
    params = {"language": "en", "temperature": 0.5}

    await send(upstream, [account("a"), virtual({"target": "a/m", "override_params": params})], form("v/m"))

    assert parts_of(upstream.requests[0]) == [
        ("file", b"sound", "a.mp3", "audio/mpeg"),
        ("model", b"real-a", None, None),
        ("language", b"en", None, None),
        ("temperature", b"0.5", None, None),
    ]


@pytest.mark.parametrize(
    ("cost", "usage", "nano"),
    [
        (
            {"metric": "per_minute_of_audio", "value": {"input": 0.006}},
            Usage(audio_seconds=200, estimated=True),
            20_000_000,
        ),
        (
            {"metric": "per_1000_tokens", "value": {"input": 0.001, "output": 0.01}},
            Usage(audio_input=2000, output=800, estimated=True),
            10_000_000,
        ),
        ({"metric": "per_million_characters", "value": {"input": 15}}, Usage(audio_seconds=200, estimated=True), None),
        (None, Usage(audio_seconds=200, estimated=True), None),
    ],
)
async def test_it_costs_by_what_has_a_price(send, sink, cost, usage, nano):
    """What has none is unknown, and not for nothing."""
    answer = await send(FakeUpstream(HEARD), [account("a", **({"cost": cost} if cost else {}))], form("a/m", LARGE))
    await send.app.close()

    assert answer.status == 200
    record = sink.records[0]
    assert (record.usage, record.cost_nanousd) == (usage, nano)
    assert send.app.admission.unpriced == (nano is None)


async def test_what_it_may_cost_is_reserved(send):
    """200 seconds are two cents, for which there is no room; a short recording passes."""
    budget = {
        "type": "tenant-budget-config",
        "name": "money",
        "limits": {"cost_per_month": 0.01},
        "applies_to": {"type": "aggregate"},
        "mode": "enforce",
    }
    manifests = [account("a", cost={"metric": "per_minute_of_audio", "value": {"input": 0.006}}), budget]
    upstream = FakeUpstream(HEARD)

    answers = [await send(upstream, manifests, form("a/m", data)) for data in (LARGE, b"sound")]

    assert [answer.status for answer in answers] == [429, 200]
    assert len(upstream.requests) == 1


async def test_a_form_may_be_larger_than_other_bodies(send, app_with, auth):
    """And says so before any of it is read, if it is too large for that."""
    too_large = {"content-length": str(512 * 1024 * 1024 + 1), "content-type": "multipart/form-data; boundary=x"}
    app = app_with(FakeUpstream(HEARD), max_body_bytes=1000)

    answers = [
        await request(app, "POST", PATH, b"", headers={**auth, **too_large}),
        await request(app, "POST", "/v1/images/generations", 1001 * b" ", headers=auth),
        await send(FakeUpstream(HEARD), [account("a")], form("a/m", LARGE)),
    ]

    assert [answer.status for answer in answers] == [413, 413, 200]
    assert "over 536,870,912 bytes" in answers[0].json()["message"]
    assert "over 1,000 bytes" in answers[1].json()["message"]
