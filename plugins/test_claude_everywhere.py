"""Claude at each platform: the bodies of one plugin, sent by the others, which find it by the format it is for."""

from configparser import ConfigParser
from importlib.metadata import EntryPoint
from pathlib import Path

import msgspec
import pytest
from botocore.session import Session
from gateway_aws.identity import OwnIdentity
from gateway_aws.messages import Messages
from gateway_aws.signers import Signers
from gateway_azure.provider import Azure
from gateway_google.provider import Google

from gateway import build_app
from gateway.testing import FakeUpstream, post

TOKEN = {"authorization": "Bearer gw-test-0123456789abcdef"}
CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "hi"}]
SAID = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
ASKED = {
    "model": "a/m",
    "messages": HI,
    "max_tokens": 9,
    "service_tier": "priority",
    "speed": "fast",
    "context_management": {"edits": []},
    "anthropic_beta": ["context-management-2025-06-27"],
}
ANSWER = msgspec.json.encode(
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 7, "output_tokens": 3},
    }
)
MODEL = "[{type: integration/model/KIND, name: m, model_id: MODEL, model_types: [chat]MORE}]"


def manifest(type_, fields, model, more=""):
    models = MODEL.replace("KIND", type_).replace("MODEL", model).replace("MORE", more)
    return f"type: provider-account/{type_}\nname: a\n{fields}\nintegrations: {models}\n"


VERTEX = manifest("google-vertex", "project_id: p\nregion: global", "anthropic/claude-sonnet-4-5@20250929")
FOUNDRY = manifest(
    "azure-foundry",
    "",
    "claude-sonnet-4-5",
    ", azure_endpoint: https://r.services.ai.azure.com/anthropic, auth_data: {type: api-key, api_key: k}",
)
PLATFORM = manifest("aws-claude-platform", "region: us-west-2\nworkspace_id: wrkspc_1", "claude-sonnet-4-5")
MANTLE = manifest(
    "aws-bedrock-mantle",
    "region: us-east-1\nproject: proj_1\nauth_data: {type: api-key, api_key: bedrock-key}",
    "anthropic.claude-sonnet-4-5",
)


class NoTokens:
    """A `Signer` that needs none."""

    def __init__(self, url, auth):
        self.url = url

    async def sign(self, request, network):
        return request


def session():
    made = Session()
    made.set_credentials("AKIDEXAMPLE", "canary-secret")
    return made


def translators():
    """(dialect, format) -> what the plugin for Anthropic's API brings along."""
    setup = ConfigParser()
    setup.read(Path(__file__).parent / "anthropic" / "setup.cfg")
    lines = setup["options.entry_points"]["gateway.translators"].splitlines()
    named = [line.split(" = ") for line in lines if line]
    made = [EntryPoint(name, value, "gateway.translators").load()() for name, value in named]
    return {(each.dialect, each.format): each for each in made}


@pytest.fixture
async def asked(tmp_path):
    """`await asked(manifest, **fields)`: the request that went out, its body, and what the caller was answered."""
    opened = []

    async def ask(text, reply=ANSWER, *, is_installed=True, **fields):
        known = translators() if is_installed else {}

        def find(*pair):
            return known.get(pair)

        path = tmp_path / "a.yaml"
        path.write_text(text)
        upstream = FakeUpstream((200, [reply]))
        app = build_app(
            path,
            environ={"GATEWAY_ADMIN_TOKEN": "gw-test-0123456789abcdef"},
            network=upstream,
            providers=[
                Google(translators=find, tokens=NoTokens),
                Azure(translators=find),
                Messages(translators=find, signers=Signers(OwnIdentity(session))),
            ],
        )
        opened.append(app)
        answer = await post(app, CHAT, ASKED | fields, headers=TOKEN)
        [request] = upstream.requests or [None]
        return request, request and msgspec.json.decode(request.body), answer

    yield ask
    for app in opened:
        await app.close()


@pytest.mark.parametrize(
    ("text", "url", "more", "dropped"),
    [
        pytest.param(
            VERTEX,
            "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/anthropic/models/"
            "claude-sonnet-4-5@20250929:rawPredict",
            {"anthropic_version": "vertex-2023-10-16", "anthropic_beta": ["context-management-2025-06-27"]},
            "speed,service_tier",
            id="vertex",
        ),
        pytest.param(
            FOUNDRY,
            "https://r.services.ai.azure.com/anthropic/v1/messages",
            {"model": "claude-sonnet-4-5"},
            "speed,anthropic_beta,service_tier",
            id="foundry",
        ),
        pytest.param(
            PLATFORM,
            "https://aws-external-anthropic.us-west-2.api.aws/v1/messages",
            {"model": "claude-sonnet-4-5", "speed": "fast"},
            "anthropic_beta,service_tier",
            id="claude platform on aws",
        ),
        pytest.param(
            MANTLE,
            "https://bedrock-mantle.us-east-1.api.aws/anthropic/v1/messages",
            {"model": "anthropic.claude-sonnet-4-5"},
            "speed,anthropic_beta,service_tier",
            id="bedrock mantle",
        ),
    ],
)
async def test_the_body_is_that_of_the_platform(asked, text, url, more, dropped):
    request, body, answer = await asked(text)

    assert request.endpoint.url == url
    assert body == {"max_tokens": 9, "messages": SAID, "context_management": {"edits": []}, **more}
    assert answer.headers["x-gateway-dropped-params"] == dropped
    message = msgspec.json.decode(answer.body)["choices"][0]["message"]
    assert (answer.status, message["content"]) == (200, "hello")


@pytest.mark.parametrize("text", [VERTEX, MANTLE], ids=["vertex", "mantle"])
@pytest.mark.parametrize(
    ("part", "why"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, "fetches no files"),
        ({"type": "file", "file": {"file_id": "file_1"}}, "keeps no files"),
    ],
)
async def test_what_clouds_do_not_fetch_is_refused(asked, text, part, why):
    request, _, answer = await asked(text, messages=[{"role": "user", "content": [part]}])

    assert (request, answer.status) == (None, 400)
    assert why in msgspec.json.decode(answer.body)["error"]["message"]


async def test_foundry_fetches_pictures(asked):
    """Anthropic itself runs it."""
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}

    _, body, _ = await asked(FOUNDRY, messages=[{"role": "user", "content": [part]}])

    assert body["messages"][0]["content"][0]["source"] == {"type": "url", "url": "https://example.com/a.png"}


async def test_vertex_is_told_in_the_body_that_it_is_to_stream(asked):
    request, body, _ = await asked(VERTEX, stream=True)

    assert request.endpoint.url.endswith(":streamRawPredict")
    assert body["stream"] is True


async def test_the_claude_platform_is_asked_with_a_signature_and_a_workspace(asked):
    request, _, _ = await asked(PLATFORM)

    assert b"anthropic-workspace-id: wrkspc_1\r\n" in request.endpoint.head
    assert b"anthropic-version: 2023-06-01\r\n" in request.endpoint.head
    assert b"/us-west-2/aws-external-anthropic/aws4_request" in request.endpoint.head


async def test_mantle_is_asked_with_a_key_or_a_signature(asked):
    request, _, _ = await asked(MANTLE)
    assert b"authorization: Bearer bedrock-key\r\n" in request.endpoint.head

    request, _, _ = await asked(MANTLE.replace("auth_data: {type: api-key, api_key: bedrock-key}", ""))
    assert b"/us-east-1/bedrock-mantle/aws4_request" in request.endpoint.head


async def test_other_models_of_mantle_speak_openais_api(asked):
    """Byte for byte, in the account's project."""
    reply = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'

    request, body, answer = await asked(MANTLE.replace("anthropic.claude-sonnet-4-5", "openai.gpt-oss-120b"), reply)

    assert request.endpoint.url == "https://bedrock-mantle.us-east-1.api.aws/v1/chat/completions"
    assert b"openai-project: proj_1\r\n" in request.endpoint.head
    assert body == ASKED | {"model": "openai.gpt-oss-120b"}
    assert answer.body == reply


@pytest.mark.parametrize("text", [VERTEX, FOUNDRY, PLATFORM, MANTLE], ids=["vertex", "foundry", "platform", "mantle"])
async def test_without_that_plugin_it_is_refused(asked, text):
    request, _, answer = await asked(text, is_installed=False)

    assert (request, answer.status) == (None, 400)
    assert msgspec.json.decode(answer.body)["error"]["message"] == (
        "a/m speaks the API of anthropic, and no plugin that is installed translates into it from that for chat"
    )
