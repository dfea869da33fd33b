"""References inside manifests: `tfy-secret://<tenant>:<group>:<key>` and `${NAME}`."""

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from pathlib import Path

from gateway.secrecy.sealing import PREFIX as SEALED
from gateway.secrecy.sealing import Seal
from gateway.secrecy.secret import Secret, any_flaw, cleaned, flaw

PREFIX = "tfy-secret://"
MISSING = "secret is missing or empty"
"""How the message begins when a reference leads nowhere."""

FindFlaw = Callable[[str], str | None]

_REFERENCE = re.compile(PREFIX + r"([^\s\"',;]*)")
_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER = re.compile(r"[<>{}]|^\.\.\.$")
# No way out of the directory, and none to hidden files such as the `..data` of a Kubernetes mount.
_PART = re.compile(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]*")


class Missing(ValueError):
    """A reference is well written, and what it refers to is not there, or cannot be used."""


class Secrets:
    """Looks up what manifests refer to. Messages name where it was looked for, and never a value.

    In a file, `tfy-secret://tenant:group:key` is the file `<directory>/<group>/<key>` or, where there is none, the
    environment variable `GROUP_KEY` (upper case, `_` for all but letters and digits) or, where there is none either,
    the stored secret of that name: what is the operator's own cannot be taken over by who may make groups over the API.
    In a manifest that was applied over the API it is the stored secret and nothing else, so what it means depends
    neither on where the gateway runs nor on what is deleted. The tenant is not looked at. A value may hold several
    references, and text around them. The gateway's own variables, `GATEWAY_...`, are never among them.

    `${NAME}` is that environment variable, `${NAME:-text}` has a default, and `$${` stands for `${`. Those who apply
    manifests over the API do not own the environment, so it is not for them.

    Line breaks and invisible characters around a value are left out, wherever it comes from.

    Args:
        environ: as `os.environ`.
        directory: of secrets; None when there is none.
        stored: (group, key) -> sealed value.
        seal: opens what is sealed; None when nothing is.
        of_stored: for manifests that were applied over the API. Secrets that stand in them are sealed.

    `found` is what was looked up so far: a variable, or group and key, -> its value.
    """

    stand_ins: Sequence[str | None] = (None,)
    """What may stand in for a variable that is not there, `{}` being its name, the last one for one that is to be a
    secret; None: nothing."""

    def __init__(
        self,
        environ: Mapping[str, str],
        directory: Path | None = None,
        *,
        stored: Mapping[tuple[str, str], str] | None = None,
        seal: Seal | None = None,
        of_stored: bool = False,
    ) -> None:
        self._environ = environ
        self._directory = directory
        self._stored = stored or {}
        self._seal = seal
        self._of_stored = of_stored
        self.found: dict[tuple[str, ...], Secret] = {}

    def for_stored(self) -> "Secrets":
        return Secrets(self._environ, self._directory, stored=self._stored, seal=self._seal, of_stored=True)

    def anew(self) -> "Secrets":
        """The same, with nothing looked up yet."""
        other = copy(self)
        other.found = {}
        return other

    def finds(self, found: Mapping[tuple[str, ...], Secret]) -> bool:
        """Whether looking all of it up once more would give the same."""
        try:
            return all(self._look_up(*names) == secret.reveal() for names, secret in found.items())
        except ValueError:
            return False

    def _look_up(self, name: str, key: str | None = None) -> str:
        return self._value(name) if key is None else self._found(name, key)[0]

    def expand(self, text: str, stand_in: str | None = None) -> str:
        """The text with its environment variables put in. Raises ValueError when one is missing or empty."""
        return _VARIABLE.sub(partial(self._variable, any_flaw, stand_in), text) if "${" in text else text

    def resolve(self, text: str, *, is_any_text: bool = False) -> Secret:
        """The same, and secrets put in as well. What a secret holds is not looked into for more references.

        Raises:
            ValueError: one is missing or empty or, unless `is_any_text`, cannot be sent as a header.
        """
        find_flaw = any_flaw if is_any_text else flaw
        if self._of_stored and self._seal is not None and text.startswith(SEALED):
            text = self._seal.open(text)
        text = cleaned(text)
        if "${" in text:
            text = _VARIABLE.sub(partial(self._variable, find_flaw, self.stand_ins[-1]), text)
        if PREFIX in text:
            text = _REFERENCE.sub(partial(self._secret, find_flaw), text)
        return Secret(_checked(find_flaw, text, "the text"))

    def _variable(self, find_flaw: FindFlaw, stand_in: str | None, match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        if self._of_stored:
            raise ValueError("a manifest applied over the API cannot read the gateway's environment; use tfy-secret://")
        name, separator, default = match[1].partition(":-")
        if not match[2] or not _VARIABLE_NAME.fullmatch(name):
            raise ValueError("a variable is written ${NAME} or ${NAME:-default}; write $${ for a literal ${")
        value = self._value(name)
        self.found[(name,)] = Secret(value)
        value = value or default
        if not value and not separator:
            if stand_in is not None:
                return stand_in.format(name.lower().replace("_", "-"))
            raise Missing(f"environment variable {name} is missing or empty; write $${{ for a literal ${{")
        return _checked(find_flaw, value, f"environment variable {name}")

    def _secret(self, find_flaw: FindFlaw, match: re.Match[str]) -> str:
        parts = match[1].split(":")
        if len(parts) == 3 and any(map(_PLACEHOLDER.search, parts[1:])):
            raise ValueError(
                f"this is a placeholder: put the names of a secret's group and key into {PREFIX}<tenant>:<group>:<key>"
            )
        if len(parts) != 3 or not all(map(_PART.fullmatch, parts)):
            raise ValueError(f"a secret is written {PREFIX}<tenant>:<group>:<key>, without slashes or leading dots")
        value, where = self._found(*parts[1:])
        self.found[parts[1], parts[2]] = Secret(value)
        return _checked(find_flaw, value, where)

    def _value(self, variable: str) -> str:
        return cleaned(self._environ.get(variable, ""))

    def _found(self, group: str, key: str) -> tuple[str, str]:
        """The value, and where it was."""
        own = None if self._of_stored else self.own(group, key)
        if own is not None:
            return own
        if value := self._from_store(group, key):
            return value, f"the secret {key} of the group {group}"
        if self._of_stored:
            raise Missing(
                f"{MISSING}: no {key} in the secret group {group} of the database, where manifests that are applied "
                "over the API have their secrets"
            )
        file, variable = self._places(group, key)
        places = f"file {file} nor environment variable {variable}" if file else f"environment variable {variable}"
        raise Missing(f"{MISSING}: {'neither' if file else 'no'} {places}")

    def own(self, group: str, key: str) -> tuple[str, str] | None:
        """The operator's secret of that name, and where it is: it comes before a stored one."""
        file, variable = self._places(group, key)
        if file and (value := _read(file)):
            return value, f"file {file}"
        if not variable.startswith("GATEWAY_") and (value := cleaned(self._environ.get(variable, ""))):
            return value, f"environment variable {variable}"
        return None

    def _places(self, group: str, key: str) -> tuple[Path | None, str]:
        variable = re.sub(r"[^A-Za-z0-9]", "_", f"{group}_{key}").upper()
        return self._directory / group / key if self._directory else None, variable

    def _from_store(self, group: str, key: str) -> str | None:
        sealed = self._stored.get((group, key))
        return cleaned(self._seal.open(sealed)) if sealed is not None and self._seal is not None else None


class FormOnly(Secrets):
    """Looks nothing up: for checking manifests where the secrets are not. A variable that is there is put in."""

    stand_ins = ("{}", "{}@example.com", "2099-12-31", "1", "https://{}.example")

    def _found(self, group: str, key: str) -> tuple[str, str]:
        return f"https://{key}.{group}.example", "the stand-in"


def _checked(find_flaw: FindFlaw, value: str, name: str) -> str:
    if what := find_flaw(value):
        raise Missing(f"{name} holds {what}, which cannot be sent")
    return value


def references(text: str) -> list[tuple[str, str]]:
    """The (group, key) of each secret that a text refers to."""
    parts = [match[1].split(":") for match in _REFERENCE.finditer(text)]
    return [(group, key) for _, group, key in (found for found in parts if len(found) == 3)]


def without_tenant(text: str) -> str:
    """The text with its references as they are looked up."""
    return _REFERENCE.sub(lambda match: PREFIX + match[1].partition(":")[2], text)


def _read(file: Path) -> str | None:
    try:
        return cleaned(file.read_bytes().decode())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Missing(f"secret cannot be read from {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        # Without its cause, which holds the bytes.
        raise Missing(f"secret in {file} is not UTF-8 text") from None
