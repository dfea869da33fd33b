"""What the guardrail makes of what Presidio finds."""

from importlib.util import find_spec

import pytest
from gateway_presidio.frames import Answer
from gateway_presidio.guardrail import PresidioGuardrail

from gateway.contract import Finding, GuardrailSpec, Hook, Subject, Text
from gateway.errors import UpstreamError


class FakePool:
    """`asked`: what it was asked about."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    async def check(self, texts):
        self.asked.append(texts)
        return self.answer


def guardrail(pool=None, *, redacts=False, config=None):
    spec = GuardrailSpec(name="safety/presidio", kind="presidio", redacts=redacts, config=config)
    return PresidioGuardrail(spec, pool=pool)


def subject(*texts):
    return Subject(Hook.LLM_INPUT, None, None, {}, [Text("user", text) for text in texts])


FOUND = Answer({"PERSON": 2, "EMAIL_ADDRESS": 1}, ["<PERSON>", "hi"])


@pytest.mark.parametrize(
    ("redacts", "finding"),
    [
        (False, Finding("block", "found EMAIL_ADDRESS, PERSON", data={"PERSON": 2, "EMAIL_ADDRESS": 1})),
        (
            True,
            Finding(
                "pass",
                "found EMAIL_ADDRESS, PERSON",
                texts=["<PERSON>", "hi"],
                data={"PERSON": 2, "EMAIL_ADDRESS": 1},
            ),
        ),
    ],
)
async def test_what_was_found_is_stopped_or_replaced(redacts, finding):
    assert await guardrail(FakePool(FOUND), redacts=redacts).check(subject("Ana", "hi")) == finding


async def test_nothing_was_found():
    """The texts stay the very ones that came."""
    assert await guardrail(FakePool(Answer({}, ["hi"])), redacts=True).check(subject("hi")) == Finding()


async def test_nobody_is_asked_about_nothing():
    pool = FakePool(FOUND)

    assert await guardrail(pool).check(subject("", " \n")) == Finding()
    assert pool.asked == []


async def test_more_than_can_be_looked_at():
    """To look at a part of it would let the rest pass."""
    guard = guardrail(FakePool(FOUND), config={"max_chars": 5})

    with pytest.raises(UpstreamError, match="presidio is given 5 characters at most, and these are 6"):
        await guard.check(subject("abc", "def"))


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"language": "en"}, "unknown field `language`"),
        ({"languages": []}, r"length >= 1 - at `\$.languages`"),
        ({"languages": ["../en"]}, r"matching regex .* at `\$.languages\[0\]`"),
        ({"models": {"en": "../en"}}, r"matching regex .* at `\$.models\[...\]`"),
        ({"min_score": 2}, r"<= 1.0 - at `\$.min_score`"),
        ({"models": {"de": "de_core_news_sm"}}, "models are for other languages than `languages`: de"),
        (
            {"operators": {"PERSON": {"type": "encrypt"}}},
            "Invalid enum value 'encrypt' - at",
        ),
        ("en", "Expected `object`, got `str`"),
    ],
)
def test_a_config_that_cannot_be_used(config, why):
    with pytest.raises(ValueError, match=why):
        guardrail(config=config)


@pytest.mark.skipif(find_spec("presidio_analyzer") is not None, reason="presidio-analyzer is installed")
def test_without_presidio():
    with pytest.raises(ValueError, match="needs the package presidio-analyzer: pip install llm-asgi-gateway-presidio"):
        guardrail()
