"""A gateway before providers that chat, and those that have the Responses API themselves; what they answer."""

import msgspec
import pytest

from gateway.testing import FakeUpstream

USAGE = {"prompt_tokens": 7, "completion_tokens": 3}
ANA, BOB = "gw-ana-0123456789abcdef", "gw-bob-0123456789abcdef"
EVERYONE = "collaborators: [{subject: 'team:everyone', role_id: provider-account-access}]"
MANIFEST = "\n---\n".join(
    f"""\
type: provider-account/self-hosted-model
name: {name}
{EVERYONE}
integrations:
  - type: integration/model/self-hosted-model
    name: m
    hosted_model_name: real-{name}
    url: http://{name}.example/v1
    model_server: openai-compatible
    model_types: [{types}]
    auth_data: {{type: bearer-auth, bearer_token: key-of-{name}-0123}}
    cost: {{metric: per_1000_tokens, value: {{input: 1, output: 1}}}}
"""
    for name, types in (("mock", "chat"), ("one", "chat, responses"), ("two", "responses"), ("old", "completion"))
)
ROUTES = f"""
---
type: provider-account/virtual-model
name: v
{EVERYONE}
integrations:
  - type: integration/model/virtual
    name: natives
    model_types: [responses]
    routing_config:
      type: priority-based-routing
      load_balance_targets: [{{target: two/m, priority: 0}}, {{target: one/m, priority: 1}}]
  - type: integration/model/virtual
    name: mixed
    model_types: [chat]
    routing_config:
      type: priority-based-routing
      load_balance_targets: [{{target: mock/m, priority: 0}}, {{target: one/m, priority: 1}}]
"""


@pytest.fixture
def app_of(app_with, tmp_path):
    path = tmp_path / "responses.yaml"
    path.write_text(MANIFEST + ROUTES)

    def make(*replies, **options):
        upstream = FakeUpstream(*replies)
        environ = {"GATEWAY_ADMIN_TOKEN": "gw-admin-0123456789abcdef"}
        environ["GATEWAY_TOKENS"] = f"user:ana@example.com={ANA},user:bob@example.com={BOB}"
        return app_with(upstream, path, environ=environ | options.pop("environ", {}), **options), upstream

    return make


@pytest.fixture
def ana():
    return {"authorization": f"Bearer {ANA}"}


@pytest.fixture
def bob():
    return {"authorization": f"Bearer {BOB}"}


@pytest.fixture
def admin():
    return {"authorization": "Bearer gw-admin-0123456789abcdef"}


@pytest.fixture(scope="session")
def said():
    """Whole answers of chat."""

    def make(text="hello", **message):
        choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
        return (
            200,
            [msgspec.json.encode({"id": "c1", "object": "chat.completion", "choices": [choice], "usage": USAGE})],
        )

    return make


@pytest.fixture(scope="session")
def chunk():
    """An event of chat's streams."""

    def make(delta, finish=None):
        return b"data: %b\n\n" % msgspec.json.encode(
            {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        )

    return make


@pytest.fixture(scope="session")
def native():
    """What a response of the Responses API is, as a provider writes it."""

    def make(id_="resp_1", **fields):
        usage = {"input_tokens": 5, "output_tokens": 2}
        return {
            "id": id_,
            "object": "response",
            "status": "completed",
            "output": [],
            "error": None,
            "usage": usage,
            **fields,
        }

    return make


@pytest.fixture(scope="session")
def events(native):
    """A stream of such a one."""

    def make(id_="resp_1"):
        begun = {**native(id_), "status": "in_progress", "usage": None}
        told = [
            {"type": "response.created", "sequence_number": 0, "response": begun},
            {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": {"id": "msg_1"}},
            {"type": "response.completed", "sequence_number": 2, "response": native(id_)},
        ]
        return [b"event: %b\ndata: %b\n\n" % (e["type"].encode(), msgspec.json.encode(e)) for e in told]

    return make


@pytest.fixture(scope="session")
def body():
    """Whatever else a provider answers."""

    def make(value):
        return (200, [msgspec.json.encode(value)])

    return make


@pytest.fixture(scope="session")
def ask():
    """What a caller asks for, of a model that chats unless it names another."""

    def make(**fields):
        return {"model": "mock/m", "input": "hi", **fields}

    return make
