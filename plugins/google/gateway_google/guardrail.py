"""Google Cloud's Model Armor.

Source: docs.cloud.google.com/security-command-center/docs/sanitize-prompts-responses and the reference of
projects.locations.templates.sanitizeUserPrompt; read 2026-11.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from gateway.contract import Finding, GuardrailSpec, Hook, Signer, Subject
from gateway.errors import UpstreamError
from gateway.guardrails.services import BOTH, at, endpoint, expected, post
from gateway.secrecy.secret import Secret
from gateway_google.accounts import KeyFileAuth
from gateway_google.credentials import tokens_for

MAX_CALLS = 50


class ModelArmor:
    """
    Args:
        base_url: in place of Google's own address.
        signer: who brings the access token; None: as the credentials say.
    """

    hooks = BOTH

    def __init__(self, spec: GuardrailSpec, *, base_url: str | None = None, signer: Signer | None = None) -> None:
        config, auth = spec.config, spec.auth or {}
        location = quote(config.location, safe="")
        base_url = base_url or f"https://modelarmor.{location}.rep.googleapis.com"
        template = f"projects/{quote(config.project_id, safe='')}/locations/{location}"
        url = f"{base_url}/v1/{template}/templates/{quote(config.template_id, safe='')}"
        self.name = spec.name
        self._redacts = spec.redacts
        self._signer = signer
        headers = {}
        if "api_key" in auth:
            headers["x-goog-api-key"] = auth["api_key"]
        elif signer is None:
            self._signer = tokens_for(url, _key_file(auth))
        self._prompt = endpoint(f"{url}:sanitizeUserPrompt", headers)
        self._answer = endpoint(f"{url}:sanitizeModelResponse", headers)

    async def check(self, subject: Subject) -> Finding:
        is_answer = subject.hook in (Hook.LLM_OUTPUT, Hook.MCP_POST)
        where = self._answer if is_answer else self._prompt
        field = "modelResponseData" if is_answer else "userPromptData"
        if len(subject.texts) > MAX_CALLS:
            raise UpstreamError(f"there are {len(subject.texts)} texts, and at most {MAX_CALLS} are asked about")
        texts = [text.text for text in subject.texts]
        found: dict[str, str] = {}
        is_blocked = False
        for index, text in enumerate(texts):
            if not text.strip():
                continue
            answer = await post(subject, where, {field: {"text": text}}, signer=self._signer)
            result = at(answer, "sanitizationResult")
            state = expected(at(result, "filterMatchState"), str, "sanitizationResult.filterMatchState")
            if state == "NO_MATCH_FOUND":
                continue
            matches = dict.fromkeys(_matches(at(result, "filterResults")), "MATCH_FOUND")
            found |= matches or {"match": "MATCH_FOUND"}
            changed = _deidentified(result)
            if self._redacts and changed is not None and matches.keys() == {"sdp"}:
                texts[index] = changed
            else:
                is_blocked = True
        if is_blocked:
            return Finding("block", f"Model Armor: {', '.join(sorted(found))}", data=found)
        if found:
            return Finding(message=f"found {', '.join(sorted(found))}", texts=texts, data=found)
        return Finding()


def _matches(results: Any) -> Iterator[str]:
    for name, result in results.items() if isinstance(results, dict) else ():
        if "MATCH_FOUND" in [*_states(result)]:
            yield str(name)


def _states(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        if "matchState" in value:
            yield value["matchState"]
        for inner in value.values():
            yield from _states(inner)


def _deidentified(result: Any) -> str | None:
    """The text without what was found, if the template has that made."""
    text = at(result, "filterResults", "sdp", "sdpFilterResult", "deidentifyResult", "data", "text")
    return text if isinstance(text, str) else None


def _key_file(auth: Mapping[str, str]) -> KeyFileAuth | None:
    """None: the gateway's own identity. Raises ValueError: it is neither a key nor a key file."""
    if not auth:
        return None
    if "key_file_content" in auth:
        return KeyFileAuth(key_file_content=Secret(auth["key_file_content"]))
    raise ValueError("auth_data needs api_key or key_file_content")
