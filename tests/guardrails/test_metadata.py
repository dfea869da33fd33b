"""The metadata check, alone."""

import pytest

from gateway.contract import Call, Finding, Hook, Request, Subject
from gateway.dialects import CHAT
from gateway.guardrails.metadata import MetadataGuardrail
from gateway.manifests.guardrails import MetadataConfig, MetadataKey, ValueAmong, ValueByPattern

OPTIONAL = MetadataKey(required=False)
KEYS = {
    "project_id": MetadataKey(),
    "environment": MetadataKey(value=ValueAmong(allowed_values=("dev", "production"))),
    "ticket": MetadataKey(required=False, value=ValueByPattern(regex="^T-[0-9]+$")),
}
GOOD = {"project_id": "p1", "environment": "dev"}


async def finding(config, metadata):
    subject = Subject(Hook.LLM_INPUT, Call(CHAT, None, Request()), None, metadata)
    return await MetadataGuardrail("safety/need-metadata", config).check(subject)


@pytest.mark.parametrize(
    "metadata", [GOOD, {**GOOD, "ticket": "T-1"}, {**GOOD, "project_id": ""}, {**GOOD, "anything": "else"}]
)
async def test_passes(metadata):
    assert await finding(MetadataConfig(keys=KEYS), metadata) == Finding()


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"environment": "dev"}, "metadata has to have the key 'project_id'"),
        ({**GOOD, "environment": "Dev"}, "metadata 'environment' has to be one of: dev, production"),
        ({**GOOD, "ticket": "see T-1"}, "metadata 'ticket' has to match ^T-[0-9]+$"),
        ({**GOOD, "ticket": ""}, "metadata 'ticket' has to match ^T-[0-9]+$"),
        (
            {"ticket": "x"},
            "metadata has to have the key 'project_id'; metadata has to have the key 'environment'; "
            "metadata 'ticket' has to match ^T-[0-9]+$",
        ),
    ],
)
async def test_blocks(metadata, message):
    """All that is wrong at once, and no value, which may be anything."""
    assert await finding(MetadataConfig(keys=KEYS), metadata) == Finding("block", message)


async def test_a_pattern_is_looked_for_anywhere():
    config = MetadataConfig(keys={"ticket": MetadataKey(value=ValueByPattern(regex="T-[0-9]"))})

    assert await finding(config, {"ticket": "see T-1"}) == Finding()


async def test_keys_that_are_not_known():
    """As many as a caller likes to send are not all repeated."""
    config = MetadataConfig(allow_unknown_keys=False, keys={"a": OPTIONAL})

    assert await finding(config, {}) == Finding()
    assert await finding(config, {"a": "1"}) == Finding()
    assert await finding(config, {"a": "1", "b": "2"}) == Finding("block", "metadata must not have 'b'")
    assert await finding(config, dict.fromkeys("bcdefgh", "1")) == Finding(
        "block", "metadata must not have 'b', 'c', 'd', 'e', 'f' and 2 more"
    )
