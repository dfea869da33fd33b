"""Personal data, found by Presidio: a reason to stop, or replaced."""

from collections.abc import Mapping
from importlib.util import find_spec
from weakref import WeakValueDictionary

import msgspec

from gateway.contract import Finding, GuardrailSpec, Subject
from gateway.errors import UpstreamError
from gateway.guardrails.services import BOTH
from gateway_presidio.config import PresidioConfig, config_of
from gateway_presidio.pool import Pool

_PACKAGES: Mapping[str, str] = {
    "presidio_analyzer": "presidio-analyzer",
    "presidio_anonymizer": "presidio-anonymizer",
}

_pools: WeakValueDictionary[bytes, Pool] = WeakValueDictionary()
"""Those in use. Guardrails are made anew at each change of the configuration, and must not load models each time."""


class PresidioGuardrail:
    """
    Args:
        pool: None: the one that all guardrails of the same config share.

    Raises:
        ValueError: the config cannot be used, or a package is missing.
    """

    hooks = BOTH

    def __init__(self, spec: GuardrailSpec, *, pool: Pool | None = None) -> None:
        config = config_of(spec.config)
        self.name = spec.name
        self._redacts = spec.redacts
        self._max_chars = config.max_chars
        self._pool = pool or _pool_of(config)

    async def check(self, subject: Subject) -> Finding:
        texts = [text.text for text in subject.texts]
        if not any(text.strip() for text in texts):
            return Finding()
        if (size := sum(map(len, texts))) > self._max_chars:
            raise UpstreamError(f"presidio is given {self._max_chars:,} characters at most, and these are {size:,}")
        answer = await self._pool.check(texts)
        if not answer.found:
            return Finding()
        message = f"found {', '.join(sorted(answer.found))}"
        if self._redacts:
            return Finding(message=message, texts=answer.texts, data=answer.found)
        return Finding("block", message, data=answer.found)


def _pool_of(config: PresidioConfig) -> Pool:
    for module, package in _PACKAGES.items():
        if find_spec(module) is None:
            raise ValueError(f"needs the package {package}: pip install llm-asgi-gateway-presidio")
    key = msgspec.json.encode(config, order="deterministic")
    pool = _pools.get(key)
    if pool is None:
        pool = _pools[key] = Pool(config)
    return pool
