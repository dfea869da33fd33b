"""Whether a request says of itself what it has to say: `x-tfy-metadata`."""

import re
from collections.abc import Iterator, Mapping

from gateway.contract.guard import Finding, Hook, Subject
from gateway.manifests.guardrails import MetadataConfig, MetadataKey, ValueAmong, ValueByPattern

SHOWN = 5


class MetadataGuardrail:
    """Blocks requests whose metadata lack a key, have one that is not known, or a value that is not allowed.

    Args:
        name: `<group>/<name>`
    """

    hooks = frozenset({Hook.LLM_INPUT})
    reads_texts = False
    is_quick = True

    def __init__(self, name: str, config: MetadataConfig) -> None:
        self.name = name
        self.config = config

    async def check(self, subject: Subject) -> Finding:
        problems = [*_problems(self.config, subject.metadata)]
        return Finding("block", "; ".join(problems)) if problems else Finding()


def _problems(config: MetadataConfig, metadata: Mapping[str, str]) -> Iterator[str]:
    """Without the values, which may be anything."""
    for name, key in config.keys.items():
        if name not in metadata:
            if key.required:
                yield f"metadata has to have the key {name!r}"
        elif wanted := _wanted(key, metadata[name]):
            yield f"metadata {name!r} has to {wanted}"
    unknown = [name for name in metadata if name not in config.keys]
    if unknown and not config.allow_unknown_keys:
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        yield f"metadata must not have {', '.join(map(repr, unknown[:SHOWN]))}{more}"


def _wanted(key: MetadataKey, value: str) -> str | None:
    """What it should be and is not."""
    match key.value:
        case ValueByPattern(regex=regex) if not re.compile(regex).search(value):
            return f"match {regex}"
        case ValueAmong(allowed_values=allowed) if value not in allowed:
            return f"be one of: {', '.join(allowed)}"
    return None
