"""Guardrails of other vendors, which are asked over HTTP: by the table of what each of them takes."""

import asyncio
from typing import Any

import msgspec

from gateway.contract import Finding, GuardrailSpec, Subject
from gateway.errors import UpstreamError
from gateway.guardrails.services import BOTH, INPUTS, OUTPUTS, credential, endpoint, judged, post
from gateway.guardrails.vendor_table import VENDORS
from gateway.wire.address import address_of

MAX_EACH = 16
"""Texts of which each is asked about by itself."""


class VendorGuardrail:
    def __init__(self, spec: GuardrailSpec) -> None:
        vendor, config = VENDORS[spec.kind], spec.config or {}
        if not isinstance(config, dict):
            raise ValueError("config has to be an object")
        if spec.redacts and vendor.texts is None:
            raise ValueError(f"{spec.kind} only judges here: write operation: validate")
        base_url = str(config.get("base_url") or vendor.base_url)
        if not base_url:
            raise ValueError("needs base_url")
        address_of(base_url)
        headers = vendor.headers(credential(spec.auth, "api_key", "token"), config)
        self.name = spec.name
        target = spec.target or str(config.get("target"))
        self.needs_whole = vendor.compares(config)
        self.hooks = OUTPUTS if self.needs_whole else {"request": INPUTS, "response": OUTPUTS}.get(target, BOTH)
        self._endpoint = endpoint(vendor.url(base_url, config), headers)
        self._vendor = vendor
        self._config = config
        self._kind = spec.kind
        self._redacts = spec.redacts

    async def check(self, subject: Subject) -> Finding:
        if self._redacts and self._vendor.takes_one:
            return await self._check_each(subject)
        answer = await self._asked(subject)
        if self._redacts and (texts := self._changed(answer)) is not None:
            return Finding(message=f"{self._kind}: changed", texts=texts)
        return judged(self._vendor.problems(self._config, answer), self._kind)

    async def _asked(self, subject: Subject) -> Any:
        return await post(subject, self._endpoint, self._vendor.body(self._config, subject))

    async def _check_each(self, subject: Subject) -> Finding:
        """Raises UpstreamError: there are more texts than it should be asked about."""
        if len(subject.texts) > MAX_EACH:
            raise UpstreamError(f"{self._kind} is asked about {MAX_EACH} texts at most, where it is to change them")
        alone = [msgspec.structs.replace(subject, texts=(text,)) for text in subject.texts]
        answers = await asyncio.gather(*map(self._asked, alone))
        changes = [self._changed(answer) for answer in answers]
        unchanged = [answer for answer, change in zip(answers, changes, strict=True) if change is None]
        problems = {
            name: value for answer in unchanged for name, value in self._vendor.problems(self._config, answer).items()
        }
        if problems or not any(change is not None for change in changes):
            return judged(problems, self._kind)
        pairs = zip(subject.texts, changes, strict=True)
        return Finding(message=f"{self._kind}: changed", texts=[c[0] if c else text.text for text, c in pairs])

    def _changed(self, answer: Any) -> list[str] | None:
        return self._vendor.texts(answer) if self._vendor.texts is not None else None


def make(spec: GuardrailSpec) -> VendorGuardrail:
    """Raises ValueError."""
    return VendorGuardrail(spec)
