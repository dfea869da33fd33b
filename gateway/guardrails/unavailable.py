"""Stands for a guardrail that is registered and cannot be asked. It has failed: its strategy says what that means."""

from gateway.contract import Finding, Hook, Subject
from gateway.errors import UpstreamError


class UnavailableGuardrail:
    """
    Args:
        name: `<group>/<name>`
        why: for the log.
    """

    hooks = frozenset(Hook)
    is_quick = True
    reads_texts = False

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        self.why = why

    async def check(self, _: Subject) -> Finding:
        raise UpstreamError(f"it cannot be asked: {self.why}")
