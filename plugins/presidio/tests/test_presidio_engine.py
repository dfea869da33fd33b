"""Presidio itself, where it is installed: by patterns alone, as no model can be downloaded."""

import httpx2
import msgspec
import openai
import pytest
from gateway_presidio.config import Operator, PresidioConfig

from gateway import build_app
from gateway.testing import ListSink

pytest.importorskip("presidio_analyzer")

TOKEN = "gw-test-0123456789abcdef"
MAIL = "mail ana@example.com"


@pytest.fixture(scope="module")
def engine_of():
    from gateway_presidio.engine import PresidioEngine  # with spaCy, which takes two seconds

    return lambda **config: PresidioEngine(PresidioConfig(**config))


def test_what_has_a_form(engine_of):
    """With a word beside it that says what it is, where the form alone says little."""
    answer = engine_of().check([MAIL, "", "my ssn is 536-90-4399", "of 4111111111111111", "John Smith"])

    assert answer.texts == ["mail <EMAIL_ADDRESS>", "", "my ssn is <US_SSN>", "of <CREDIT_CARD>", "John Smith"]
    assert answer.found == {"EMAIL_ADDRESS": 1, "US_SSN": 1, "CREDIT_CARD": 1}


@pytest.mark.parametrize(
    ("operator", "text"),
    [
        ({"type": "redact"}, "of "),
        ({"type": "replace", "text": "[card]"}, "of [card]"),
        ({"type": "replace", "text": ""}, "of "),
        ({"type": "mask"}, "of ****************"),
        ({"type": "mask", "keep": 4}, "of ************1111"),
        ({"type": "mask", "keep": 16}, "of ****************"),
    ],
)
def test_what_is_done_with_it(engine_of, operator, text):
    operators = {"CREDIT_CARD": msgspec.convert(operator, Operator)}

    assert engine_of(operators=operators, entities=("CREDIT_CARD",)).check(["of 4111111111111111"]).texts == [text]


def test_only_what_is_asked_for(engine_of):
    engine = engine_of(entities=("CREDIT_CARD",), allow=("5555555555554444",))

    assert engine.check([MAIL, "5555555555554444", "4111111111111111"]).found == {"CREDIT_CARD": 1}


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"entities": ("PERSON",)}, "nothing finds PERSON in en with these models; known are CREDIT_CARD, "),
        ({"models": {"en": "en_core_web_nope"}}, "the model en_core_web_nope for en is not installed: python -m spacy"),
        ({"languages": ("qq",)}, "spaCy knows no language qq"),
    ],
)
def test_what_would_find_nothing(engine_of, config, why):
    """A guardrail that looks for names without a model would let them all pass, and nobody would know."""
    with pytest.raises(ValueError, match=why):
        engine_of(**config)


GROUP = """\
- type: provider-account/demo
  name: demo
  integrations: [{type: integration/model/demo, name: echo, model_types: [chat]}]
- type: provider-account/guardrail-config-group
  name: safety
  integrations:
    - type: integration/guardrail-config/plugin
      name: presidio
      operation: mutate
      enforcing_strategy: enforce
      config: {plugin: presidio, config: {timeout_ms: 60000}}
    - type: integration/guardrail-config/plugin
      name: cards
      operation: validate
      enforcing_strategy: enforce
      config: {plugin: presidio, config: {timeout_ms: 60000, entities: [CREDIT_CARD]}}
- type: gateway-guardrails-config
  rules:
    - id: all
      when: {target: {conditions: {model: {condition: in, values: ["*"]}}}}
      llm_input_guardrails: [safety/presidio, safety/cards]
      llm_output_guardrails: []
      mcp_tool_pre_invoke_guardrails: []
      mcp_tool_post_invoke_guardrails: []
- type: gateway-global-settings
  name: settings
  guardrail_settings: {timeout_ms: 60000}
"""


@pytest.fixture
async def client(tmp_path):
    (tmp_path / "gateway.yaml").write_text(GROUP)
    app = build_app(tmp_path / "gateway.yaml", environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, sinks=[ListSink()])
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
    async with openai.AsyncOpenAI(base_url="http://gateway/v1", api_key=TOKEN, max_retries=0, http_client=http) as made:
        yield made
    await app.close()


async def test_in_a_gateway(client):
    """Found by its entry point, in workers of their own: the model gets what is left."""
    ask = {"model": "demo/echo", "messages": [{"role": "user", "content": MAIL}]}

    answer = await client.chat.completions.create(**ask)

    assert "mail <EMAIL_ADDRESS>" in answer.choices[0].message.content
    assert "ana@example.com" not in answer.choices[0].message.content

    ask["messages"] = [{"role": "user", "content": "of 4111111111111111"}]
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(**ask)
    assert "safety/cards" in str(refused.value)
    assert "4111" not in str(refused.value)
