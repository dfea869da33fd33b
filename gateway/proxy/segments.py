"""What of a stream has passed those that find things in it, and waits for those that have to be asked."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from gateway.contract import Finding, Hook, Span, Text
from gateway.proxy.checks import Checked
from gateway.proxy.guarding import Guarding
from gateway.proxy.held import HeldStream
from gateway.rules.guards import Check
from gateway.wire.redaction import Found

SEGMENT = 2000
"""Characters that are judged at once: about 500 tokens."""
OVERLAP = 500
"""Characters before them that are shown again, so that nothing is cut in two."""
MAX_BEHIND = 1024 * 1024
"""Characters that are kept for those who only write down what they think."""

_OUT = Hook.LLM_OUTPUT


class Segments:
    """Of one stream.

    Args:
        finding: whose finders the stream was made with, in the same order.
        asking: who has to be asked before any of it goes out.
        judges: all that judge, among them those that are asked behind.
    """

    def __init__(
        self, guarding: Guarding, finding: Sequence[Check], asking: Sequence[Check], judges: Sequence[Check]
    ) -> None:
        self._guarding = guarding
        self._finding = finding
        self._asking = asking
        self._keeps = any(not check.blocks for check in judges)
        self._labels: list[Counter[str]] = [Counter() for _ in finding]
        self._waiting: list[bytes] = []
        self._recent: dict[Any, str] = {}
        self._fresh = 0
        self._last: dict[str, Checked] = {}
        self._all: dict[Any, list[str]] = {}
        self._kept = 0

    def take(self, held: HeldStream) -> None:
        """What was found, and what came. Raises Blocked."""
        if held.found:
            self._note(held.found)
            held.found.clear()
        if not self._asking and not self._keeps:
            held.said.clear()
            return
        for key, text in held.said:
            if self._asking:
                self._recent[key] = self._recent.get(key, "") + text
                self._fresh += len(text)
            if self._keeps and self._kept < MAX_BEHIND:
                self._all.setdefault(key, []).append(text)
                self._kept += len(text)
        held.said.clear()

    async def released(self, out: bytes, *, is_end: bool) -> bytes:
        """Raises Blocked."""
        if not self._asking:
            return out
        self._waiting.append(out)
        if not self._fresh or (self._fresh < SEGMENT and not is_end):
            return self._let() if is_end or not self._fresh else b""
        texts = [Text("assistant", text) for text in self._recent.values() if text]
        results = await self._guarding.ask_all(self._asking, _OUT, texts, notes=False)
        for result in results:
            known = self._last.get(result.name)
            if known is None or known.span.result == "passed" or result.objection is not None:
                self._last[result.name] = result
        if any(result.objection is not None for result in results):
            self.end()
            self._guarding.refuse(_OUT, results)
        self._recent = {key: text[-OVERLAP:] for key, text in self._recent.items()}
        self._fresh = 0
        return self._let()

    def end(self) -> None:
        """Notes what each has said in the end."""
        for check, labels in zip(self._finding, self._labels, strict=True):
            self._guarding.note(_OUT, self._result(check, labels, is_objection=False))
        for result in self._last.values():
            self._guarding.note(_OUT, result)

    def everything(self) -> list[Text]:
        return [Text("assistant", "".join(parts)) for parts in self._all.values()]

    def _let(self) -> bytes:
        waiting, self._waiting = self._waiting, []
        return b"".join(waiting)

    def _note(self, found: Sequence[Found]) -> None:
        objecting: list[int] = []
        for each in found:
            for by in (each.by, *each.others):
                self._labels[by][each.label] += 1
                if not self._finding[by].mutates and by not in objecting:
                    objecting.append(by)
        if objecting:
            results = [self._result(self._finding[by], self._labels[by], is_objection=True) for by in objecting]
            for result in results:
                self._guarding.note(_OUT, result)
            self._guarding.refuse(_OUT, results)

    def _result(self, check: Check, labels: Counter[str], *, is_objection: bool) -> Checked:
        said = f"found {', '.join(sorted(labels))}" if labels else ""
        result = "failed" if is_objection else "mutated" if labels else "passed"
        span = Span(
            kind="guardrail",
            name=check.name,
            status=400 if is_objection else 200,
            reason="guardrail_checks_failed" if is_objection else result if labels else None,
            started_ms=self._guarding.since_start_ms(),
            duration_ms=0.0,
            hook=_OUT,
            result=result,
            found=dict(labels) or None,
        )
        return Checked(span, said if is_objection else None, said, Finding(message=said))
