"""Moderation in the shape of OpenAI's: asked of a model of this gateway, or of OpenAI itself.

Sources: platform.openai.com/docs/api-reference/moderations; the categories and severities of `tfy-content-moderation`
are those of Azure AI Content Safety. Which score is which severity is a guess of this project: they grow together, and
1.0 is 7.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.contract import Finding, GuardrailSpec, Subject, Text
from gateway.errors import UpstreamError
from gateway.guardrails.services import BOTH, at, credential, endpoint, expected, joined, json_of, judged, post
from gateway.manifests.guardrail_kinds import ModerationConfig, OpenAiModerationsConfig
from gateway.wire.address import below

SEVERITIES = 7
PREFIXES: Mapping[str, tuple[str, ...]] = {
    "Hate": ("hate", "harassment"),
    "SelfHarm": ("self-harm", "self_harm"),
    "Sexual": ("sexual",),
    "Violence": ("violence", "illicit/violent"),
}
"""Category -> how those of OpenAI's begin that belong to it."""
_INPUT_CHARS = 30_000


class ContentModeration:
    """`tfy-content-moderation`."""

    hooks = BOTH

    def __init__(self, spec: GuardrailSpec) -> None:
        config = spec.config
        assert isinstance(config, ModerationConfig)
        if config.model is None:
            raise ValueError("needs `model`: one of your models that is declared as `moderation` (model_types)")
        self.name = spec.name
        self._model = config.model
        self._prefixes = {name: PREFIXES[name] for name in config.categories}
        self._least = config.severity_threshold / SEVERITIES

    async def check(self, subject: Subject) -> Finding:
        if subject.outside is None:
            raise UpstreamError("there is no model to ask")
        if not joined(subject).strip():
            return Finding()
        answer = json_of(await subject.outside.ask(self._model, {"input": _inputs(subject)}, kind="moderation"))
        worst: dict[str, float] = {}
        for name, score, is_flagged in _scores(answer):
            for category, prefixes in self._prefixes.items():
                if name.startswith(prefixes) and (is_flagged or score >= max(self._least, 0.01)):
                    worst[category] = max(worst.get(category, 0.0), score)
        return judged(worst, "content moderation")


class OpenAiModerations:
    """`openai-moderations`. A category without a threshold counts if OpenAI flags it."""

    hooks = BOTH

    def __init__(self, spec: GuardrailSpec) -> None:
        config = spec.config
        assert isinstance(config, OpenAiModerationsConfig)
        key = credential(spec.auth, "api_key")
        self.name = spec.name
        self._endpoint = endpoint(below(config.base_url, "/moderations"), {"authorization": f"Bearer {key}"})
        self._model = config.model
        self._thresholds = config.category_thresholds

    async def check(self, subject: Subject) -> Finding:
        if not joined(subject).strip():
            return Finding()
        answer = await post(subject, self._endpoint, {"model": self._model, "input": _inputs(subject)})
        flagged: dict[str, float] = {}
        for name, score, is_flagged in _scores(answer):
            least = self._thresholds.get(name)
            if is_flagged if least is None else score >= least:
                flagged[name] = max(flagged.get(name, 0.0), score)
        return judged(flagged, "flagged")


def make(spec: GuardrailSpec) -> ContentModeration | OpenAiModerations:
    return ContentModeration(spec) if isinstance(spec.config, ModerationConfig) else OpenAiModerations(spec)


def _inputs(subject: Subject) -> list[str]:
    """In pieces of a size that the API takes."""
    return [piece for text in subject.texts for piece in _pieces(text)] or [""]


def _pieces(text: Text) -> Iterator[str]:
    for begin in range(0, len(text.text), _INPUT_CHARS):
        yield text.text[begin : begin + _INPUT_CHARS]


def _scores(answer: Any) -> Iterator[tuple[str, float, bool]]:
    """Category, score, and whether it is flagged, of each text. Raises UpstreamError: it is no such answer."""
    for result in expected(at(answer, "results"), list, "results"):
        scores = expected(at(result, "category_scores"), dict, "category_scores")
        flags = at(result, "categories") or {}
        for name, score in scores.items():
            if isinstance(score, int | float):
                yield name, float(score), flags.get(name) is True
