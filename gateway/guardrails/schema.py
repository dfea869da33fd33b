"""Whether each answer is JSON that keeps to a schema."""

import asyncio
from typing import Any

import msgspec

from gateway.contract import Finding, GuardrailSpec, Hook, Subject
from gateway.guardrails.needs import needed
from gateway.manifests.guardrail_kinds import SchemaConfig

MAX_ANSWER_CHARS = 256 * 1024
SHOWN = 3


class SchemaGuardrail:
    """Tools' arguments and thoughts are not looked at, but for what is said in the place of an answer."""

    hooks = frozenset({Hook.LLM_OUTPUT})
    needs_whole = True
    is_quick = True

    def __init__(self, spec: GuardrailSpec) -> None:
        config = spec.config
        assert isinstance(config, SchemaConfig)
        library: Any = needed("jsonschema")
        kind = library.validators.validator_for(config.json_schema, default=library.Draft202012Validator)
        try:
            kind.check_schema(config.json_schema)
        except library.SchemaError as error:
            raise ValueError(f"json_schema: {error.message}") from error
        if "$ref" in str(config.json_schema) and "http" in str(config.json_schema).partition("$ref")[2]:
            raise ValueError("json_schema: a $ref must not lead to another document")
        self.name = spec.name
        self._validator = kind(config.json_schema)

    async def check(self, subject: Subject) -> Finding:
        for text in subject.texts:
            if len(text.text) > MAX_ANSWER_CHARS:
                return Finding("block", f"the answer is over {MAX_ANSWER_CHARS:,} characters")
            problems = await asyncio.to_thread(self._problems, text.text)
            if problems:
                return Finding("block", "; ".join(problems))
        return Finding()

    def _problems(self, text: str) -> list[str]:
        """Where it does not fit, and nothing of what stands there."""
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return ["the answer is no JSON"]
        found = []
        for error in self._validator.iter_errors(value):
            found.append(f"{error.json_path} does not fit {error.validator}")
            if len(found) == SHOWN:
                break
        return found


make = SchemaGuardrail
