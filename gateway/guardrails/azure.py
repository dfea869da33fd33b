"""Azure AI Content Safety, its prompt shields, and the finding of personal data by Azure AI Language.

Sources: learn.microsoft.com/rest/api/contentsafety/text-operations (analyze-text, detect-text-jailbreak),
learn.microsoft.com/rest/api/language/text-analysis-runtime/analyze-text (PiiEntityRecognition); read 2026-11.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.contract import Endpoint, Finding, GuardrailSpec, Subject
from gateway.guardrails.services import BOTH, INPUTS, at, credential, endpoint, expected, judged, post
from gateway.manifests.guardrail_kinds import AzureConfig, AzurePiiConfig, AzureSafetyConfig
from gateway.wire.address import below

MAX_SAFETY_CHARS = 10_000
MAX_SHIELD_DOCUMENTS = 5
MAX_PII_CHARS = 5_000
MAX_PII_DOCUMENTS = 5
MAX_CALLS = 20
"""Requests for one text, one after the other, which is more than any deadline allows."""


class ContentSafety:
    hooks = BOTH

    def __init__(self, spec: GuardrailSpec) -> None:
        config = spec.config
        assert isinstance(config, AzureSafetyConfig)
        self.name = spec.name
        self._endpoint = _endpoint(config, spec.auth, "contentsafety/text:analyze")
        self._config = config

    async def check(self, subject: Subject) -> Finding:
        config = self._config
        worst: dict[str, int] = {}
        for text in _cut(subject, MAX_SAFETY_CHARS):
            body = {
                "text": text,
                "categories": list(config.categories),
                "blocklistNames": list(config.blocklist_names),
                "outputType": "FourSeverityLevels",
            }
            answer = await post(subject, self._endpoint, body)
            for each in expected(at(answer, "categoriesAnalysis"), list, "categoriesAnalysis"):
                severity = at(each, "severity")
                if isinstance(severity, int) and severity >= max(config.severity_threshold, 1):
                    worst[str(at(each, "category"))] = max(worst.get(str(at(each, "category")), 0), severity)
            for each in at(answer, "blocklistsMatch") or []:
                worst[f"blocklist {at(each, 'blocklistName')}"] = 0
        return judged(worst, "content safety")


class PromptShield:
    hooks = INPUTS

    def __init__(self, spec: GuardrailSpec) -> None:
        config = spec.config
        assert isinstance(config, AzureConfig)
        self.name = spec.name
        self._endpoint = _endpoint(config, spec.auth, "contentsafety/text:shieldPrompt")

    async def check(self, subject: Subject) -> Finding:
        prompts = [text.text for text in subject.texts if text.role not in ("tool", "system", "assistant")]
        documents = [text.text[:MAX_SAFETY_CHARS] for text in subject.texts if text.role == "tool"]
        body = {
            "userPrompt": "\n".join(prompts)[-MAX_SAFETY_CHARS:],
            "documents": documents[-MAX_SHIELD_DOCUMENTS:],
        }
        answer = await post(subject, self._endpoint, body)
        found = {}
        if expected(at(answer, "userPromptAnalysis", "attackDetected"), bool, "userPromptAnalysis"):
            found["attack in the prompt"] = 1
        if any(at(each, "attackDetected") is True for each in at(answer, "documentsAnalysis") or []):
            found["attack in a document"] = 1
        return judged(found, "prompt shield")


class AzurePii:
    hooks = BOTH

    def __init__(self, spec: GuardrailSpec) -> None:
        config = spec.config
        assert isinstance(config, AzurePiiConfig)
        self.name = spec.name
        self._endpoint = _endpoint(config, spec.auth, "language/:analyze-text")
        self._config = config
        self._redacts = spec.redacts

    async def check(self, subject: Subject) -> Finding:
        pieces = [
            (index, part) for index, text in enumerate(subject.texts) for part in _parts(text.text, MAX_PII_CHARS)
        ]
        texts = ["" for _ in subject.texts]
        found: dict[str, int] = {}
        for begin in range(0, len(pieces), MAX_PII_DOCUMENTS):
            batch = pieces[begin : begin + MAX_PII_DOCUMENTS]
            answer = await post(subject, self._endpoint, self._body([part for _, part in batch]))
            documents = expected(at(answer, "results", "documents"), list, "results")
            by_id = {at(document, "id"): document for document in documents}
            for number, (index, _) in enumerate(batch):
                document = by_id.get(str(number))
                texts[index] += expected(at(document, "redactedText"), str, "redactedText")
                for entity in at(document, "entities") or []:
                    category = str(at(entity, "category"))
                    found[category] = found.get(category, 0) + 1
        if not found:
            return Finding()
        if self._redacts:
            return Finding(message=f"found {', '.join(sorted(found))}", texts=texts, data=found)
        return judged(found, "personal data")

    def _body(self, texts: list[str]) -> dict[str, Any]:
        config = self._config
        parameters: dict[str, Any] = {"modelVersion": config.model_version, "domain": config.domain}
        categories = [name for name in config.pii_categories if name != "*"]
        if categories:
            parameters["piiCategories"] = categories
        documents = [{"id": str(index), "language": config.language, "text": text} for index, text in enumerate(texts)]
        return {
            "kind": "PiiEntityRecognition",
            "parameters": parameters,
            "analysisInput": {"documents": documents},
        }


def make(spec: GuardrailSpec) -> ContentSafety | PromptShield | AzurePii:
    match spec.config:
        case AzurePiiConfig():
            return AzurePii(spec)
        case AzureSafetyConfig():
            return ContentSafety(spec)
    return PromptShield(spec)


def _endpoint(config: AzureConfig, auth: Mapping[str, str] | None, path: str) -> Endpoint:
    """Raises ValueError: it is not said where, or with which key."""
    if config.custom_host is None and config.resource_name is None:
        raise ValueError("needs resource_name or custom_host")
    host = config.custom_host or f"https://{config.resource_name}.cognitiveservices.azure.com"
    if auth and "bearer_token" in auth:
        headers = {"authorization": f"Bearer {auth['bearer_token']}"}
    else:
        headers = {"ocp-apim-subscription-key": credential(auth, "api_key")}
    return endpoint(below(host, f"/{path}") + f"?api-version={config.api_version}", headers)


def _cut(subject: Subject, size: int) -> Iterator[str]:
    """Raises ValueError: there is more than can be asked about."""
    pieces = [part for text in subject.texts for part in _parts(text.text, size) if part.strip()]
    if len(pieces) > MAX_CALLS:
        joined = "\n".join(pieces)
        pieces = [*_parts(joined, size)]
    if len(pieces) > MAX_CALLS:
        raise ValueError(f"the texts are too long: {len(pieces)} requests, and at most {MAX_CALLS} are sent")
    yield from pieces


def _parts(text: str, size: int) -> Iterator[str]:
    for begin in range(0, max(len(text), 1), size):
        yield text[begin : begin + size]
