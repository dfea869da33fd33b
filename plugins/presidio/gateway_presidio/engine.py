"""Presidio itself. Imported in workers alone: with spaCy, it takes seconds and some hundred MB.

Source: presidio-analyzer and presidio-anonymizer 2.2.366; microsoft.github.io/presidio/api/, read 2026-11.
"""

from collections import Counter
from collections.abc import Sequence

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import SpacyRecognizer
from presidio_anonymizer import AnonymizerEngine, OperatorConfig
from presidio_anonymizer.entities import RecognizerResult as Found
from spacy.language import Language
from spacy.tokens import Doc

from gateway_presidio.config import Operator, PresidioConfig
from gateway_presidio.frames import Answer


class PresidioEngine:
    """Raises ValueError: a model is not installed, or an entity not known."""

    def __init__(self, config: PresidioConfig) -> None:
        # Presidio asks it whether the domain of an address is one. It has a list, and must not fetch a newer one.
        tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
        nlp = _Models()
        nlp.nlp = {language: _model(config.models.get(language), language) for language in config.languages}
        registry = RecognizerRegistry(supported_languages=list(config.languages))
        registry.load_predefined_recognizers(languages=list(config.languages), nlp_engine=nlp)
        for language in set(config.languages) - config.models.keys():
            # Else it would claim to know names and places, and find none.
            registry.remove_recognizer(SpacyRecognizer.__name__, language)
        self._analyzer = AnalyzerEngine(
            registry=registry,
            nlp_engine=nlp,
            supported_languages=list(config.languages),
            default_score_threshold=config.min_score,
        )
        self._entities = self._chosen(config)
        self._allow = list(config.allow)
        self._anonymizer = AnonymizerEngine()
        self._operators = {entity: _operator(operator) for entity, operator in config.operators.items()}

    def _chosen(self, config: PresidioConfig) -> dict[str, list[str]]:
        """Language -> the entities that are looked for, of those that it has."""
        known = {language: self._analyzer.get_supported_entities(language) for language in config.languages}
        everywhere = {entity for entities in known.values() for entity in entities}
        if unknown := sorted(set(config.entities) - everywhere):
            message = f"nothing finds {', '.join(unknown)} in {', '.join(config.languages)}"
            raise ValueError(f"{message} with these models; known are {', '.join(sorted(everywhere))}")
        wanted = set(config.entities) or everywhere
        return {language: sorted(wanted.intersection(entities)) for language, entities in known.items()}

    def check(self, texts: Sequence[str]) -> Answer:
        counts: Counter[str] = Counter()
        out = []
        for text in texts:
            found = self._found(text)
            if not found:
                out.append(text)
                continue
            done = self._anonymizer.anonymize(text, found, self._operators)
            counts.update(item.entity_type for item in done.items)
            out.append(done.text)
        return Answer(dict(counts), out)

    def _found(self, text: str) -> list[Found]:
        results: list[RecognizerResult] = []
        for language, entities in self._entities.items():
            if entities and text.strip():
                results += self._analyzer.analyze(text, language, entities=entities, allow_list=self._allow)
        return [Found(each.entity_type, each.start, each.end, each.score) for each in results]


class _Models(SpacyNlpEngine):  # type: ignore[misc]  # it is not typed
    """Models that are loaded already: Presidio's own would download those that are missing."""

    def load(self) -> None:
        """Nothing is left to do."""


def _model(name: str | None, language: str) -> Language:
    """Raises ValueError: it is not installed."""
    if name is not None:
        if not spacy.util.is_package(name):
            raise ValueError(f"the model {name} for {language} is not installed: python -m spacy download {name}")
        return spacy.load(name)
    try:
        blank = spacy.blank(language)
    except ImportError:
        raise ValueError(f"spaCy knows no language {language}") from None
    blank.add_pipe("gateway_presidio_words")
    return blank


@Language.component("gateway_presidio_words")  # type: ignore[untyped-decorator]
def _words(doc: Doc) -> Doc:
    """Without a model there are no lemmas, by which Presidio looks for what stands around a number: `card`, `ssn`."""
    for token in doc:
        token.lemma_ = token.lower_
    return doc


def _operator(operator: Operator) -> OperatorConfig:
    if operator.type == "mask":
        return OperatorConfig("custom", {"lambda": lambda text: _masked(text, operator.keep)})
    if operator.type == "redact" or operator.text == "":  # which Presidio takes for no text at all
        return OperatorConfig("redact")
    return OperatorConfig("replace", {} if operator.text is None else {"new_value": operator.text})


def _masked(text: str, keep: int) -> str:
    """All of it is hidden, if it is not longer than what may be seen."""
    hidden = len(text) - keep if keep < len(text) else len(text)
    return "*" * hidden + text[hidden:]
