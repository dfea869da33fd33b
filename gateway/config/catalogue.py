"""What those who watch the gateway call a model: as it is configured, and never as a caller likes."""

from gateway.config.live import Config
from gateway.config.snapshot import ANY_MODEL

NOTHING = ("", "")


class Catalogue:
    """Remembers what it said, for as long as the configuration stays."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._of = config.snapshot
        self._types: dict[str, str] = {}
        self._known: dict[str, tuple[str, str]] = {}

    def described(self, name: str) -> tuple[str, str]:
        """The full name of a model, however it was asked for, and of which type its account is: `openai` for
        `provider-account/openai`. Of a model that no manifest names, `account/*`. Both empty: there is none."""
        snapshot = self.config.snapshot
        if snapshot is not self._of or not self._types:
            self._of, self._known = snapshot, {}
            self._types = {
                account: type_.removeprefix("provider-account/")
                for type_, account in snapshot.documents
                if type_.startswith("provider-account/")
            }
        known = self._known.get(name)
        if known is None:
            account = name.partition("/")[0]
            target = snapshot.targets.get(name) or snapshot.targets.get(f"{account}/{ANY_MODEL}")
            if target is None:
                return NOTHING
            known = (target.name, self._types.get(target.account, ""))
            if name in snapshot.targets:  # others are as many as callers can think of
                self._known[name] = known
        return known
