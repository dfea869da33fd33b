"""References inside manifests: `tfy-secret://<tenant>:<group>:<key>` and `${NAME}`."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from gateway.sealing import PREFIX as SEALED
from gateway.sealing import Seal
from gateway.secret import Secret

PREFIX = "tfy-secret://"
MISSING = "secret is missing or empty"
"""How the message begins when a reference leads nowhere."""

_REFERENCE = re.compile(PREFIX + r"([^\s\"',;]*)")
_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# No way out of the directory, and none to hidden files such as the `..data` of a Kubernetes mount.
_PART = re.compile(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]*")


class Secrets:
    """Looks up what manifests refer to. Messages name where it was looked for, and never a value.

    `tfy-secret://tenant:group:key` is the file `<directory>/<group>/<key>` without its trailing line break or, where
    there is none, the environment variable `GROUP_KEY` (upper case, `_` for all but letters and digits) or, where there
    is none either, the stored secret of that name: what is the operator's own cannot be taken over by who may make
    groups over the API. The tenant is not looked at. A value may hold several references, and text around them. The
    gateway's own variables, `GATEWAY_...`, are never among them.

    `${NAME}` is that environment variable, `${NAME:-text}` has a default, and `$${` stands for `${`.

    Args:
        environ: as `os.environ`.
        directory: of secrets; None when there is none.
        stored: (group, key) -> sealed value.
        groups: those that were made over the API. For stored manifests such a group has its stored secrets and no
            others: else who made a group `aws` could read `AWS_...` of the gateway.
        seal: opens what is sealed; None when nothing is.
        of_stored: for manifests that were applied over the API. Their authors do not own the environment, so `${NAME}`
            is not for them; and secrets that stand in them are sealed.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        directory: Path | None = None,
        *,
        stored: Mapping[tuple[str, str], str] | None = None,
        groups: Collection[str] = (),
        seal: Seal | None = None,
        of_stored: bool = False,
    ) -> None:
        self._environ = environ
        self._directory = directory
        self._stored = stored or {}
        self._groups = groups
        self._seal = seal
        self._of_stored = of_stored

    def for_stored(self) -> "Secrets":
        return Secrets(
            self._environ,
            self._directory,
            stored=self._stored,
            groups=self._groups,
            seal=self._seal,
            of_stored=True,
        )

    def expand(self, text: str) -> str:
        """The text with its environment variables put in. Raises ValueError when one is missing or empty."""
        return _VARIABLE.sub(self._variable, text) if "${" in text else text

    def resolve(self, text: str) -> Secret:
        """The same, and secrets put in as well. What a secret holds is not looked into for more references."""
        if self._of_stored and self._seal is not None and text.startswith(SEALED):
            text = self._seal.open(text)
        text = self.expand(text)
        return Secret(_REFERENCE.sub(self._secret, text) if PREFIX in text else text)

    def _variable(self, match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        if self._of_stored:
            raise ValueError("a manifest applied over the API cannot read the gateway's environment; use tfy-secret://")
        name, separator, default = match[1].partition(":-")
        if not match[2] or not _VARIABLE_NAME.fullmatch(name):
            raise ValueError("a variable is written ${NAME} or ${NAME:-default}; write $${ for a literal ${")
        value = self._environ.get(name) or default
        if not value and not separator:
            raise ValueError(f"environment variable {name} is missing or empty; write $${{ for a literal ${{")
        return value

    def _secret(self, match: re.Match[str]) -> str:
        parts = match[1].split(":")
        if len(parts) != 3 or not all(map(_PART.fullmatch, parts)):
            raise ValueError(f"a secret is written {PREFIX}<tenant>:<group>:<key>, without slashes or leading dots")
        _, group, key = parts
        if self._of_stored and group in self._groups:
            if value := self._from_store(group, key):
                return value
            raise ValueError(f"{MISSING}: no {key} in the secret group {group}")
        variable = re.sub(r"[^A-Za-z0-9]", "_", f"{group}_{key}").upper()
        file = self._directory / group / key if self._directory else None
        value = (file and _read(file)) or self._from_environ(variable) or self._from_store(group, key)
        if not value:
            places = f"file {file} nor environment variable {variable}" if file else f"environment variable {variable}"
            raise ValueError(f"{MISSING}: {'neither' if file else 'no'} {places}")
        return value

    def _from_store(self, group: str, key: str) -> str | None:
        sealed = self._stored.get((group, key))
        return self._seal.open(sealed) if sealed is not None and self._seal is not None else None

    def _from_environ(self, variable: str) -> str | None:
        return None if variable.startswith("GATEWAY_") else self._environ.get(variable)


def references(text: str) -> list[tuple[str, str]]:
    """The (group, key) of each secret that a text refers to."""
    parts = [match[1].split(":") for match in _REFERENCE.finditer(text)]
    return [(group, key) for _, group, key in (found for found in parts if len(found) == 3)]


def without_tenant(text: str) -> str:
    """The text with its references as they are looked up."""
    return _REFERENCE.sub(lambda match: PREFIX + match[1].partition(":")[2], text)


def _read(file: Path) -> str | None:
    try:
        return file.read_bytes().decode().rstrip("\r\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ValueError(f"secret cannot be read from {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        # Without its cause, which holds the bytes.
        raise ValueError(f"secret in {file} is not UTF-8 text") from None
