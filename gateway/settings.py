"""What the gateway reads of its environment: once, before it is built, and all that is wrong with it in one error."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from gateway.contract.caller import Caller
from gateway.contract.egress import ALLOW, Egress, network
from gateway.errors import ConfigError, Fault
from gateway.rules.access import canonical
from gateway.secrecy.secret import Secret, cleaned_token
from gateway.state.bus import redis_url
from gateway.state.telemetry.settings import TelemetrySettings, telemetry_from
from gateway.upstream.proxies import Proxies, proxies_from

ADMIN = Caller(subject="user:admin", is_admin=True)
MIN_TOKEN_CHARS = 16
MIN_PEPPER_BYTES = 16
RECORDS_DAYS = 30
MAX_RESPONSES_DAYS = 3650
_SIZES = {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4}

Value = TypeVar("Value")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The variables `GATEWAY_...`, each under its name, and those about proxies and telemetry. None or empty: it is not
    set.

    Args:
        environ: all there are, for what manifests refer to and for the keys of vendors.
        tokens: the admin's and those of others, each with whose it is.
        upload_disk_bytes: of all uploads at once that are too large for memory.
        files_dir: where the gateway keeps files and runs batches itself; None: it does not.
        files_disk_bytes: of all files there.
        ledger_days: how long single requests are remembered; None: for ever.
        records_url: of the database for request records; None: they are not kept in any.
        records_days: how long those are kept.
        records_metadata: the keys of metadata by which they are summed up.
        responses_days: how long responses are kept that no provider keeps; 0: not at all.
        egress: of `GATEWAY_EGRESS_ALLOW`.
    """

    environ: Mapping[str, str] = {}
    config: Path | None = None
    tokens: tuple[tuple[Secret, Caller], ...] = ()
    database_url: Secret | None = None
    pepper: Secret | None = None
    redis_url: Secret | None = None
    spool_dir: Path | None = None
    ledger_days: int | None = None
    records_url: Secret | None = None
    records_days: int = RECORDS_DAYS
    records_metadata: tuple[str, ...] = ()
    responses_days: int | None = None
    secrets_dir: Path | None = None
    upload_disk_bytes: int = 4 * 1024**3
    files_dir: Path | None = None
    files_disk_bytes: int = 10 * 1024**3
    egress: Egress = Egress()
    cors_origins: tuple[str, ...] = ()
    proxies: Proxies = Proxies()
    telemetry: TelemetrySettings = TelemetrySettings()

    def __repr__(self) -> str:
        return "Settings(***)"  # the environment holds secrets of all kinds


def settings_from(environ: Mapping[str, str], *, has_secrets: bool = True) -> Settings:
    """
    Args:
        has_secrets: unless they are there, a pepper that is missing is taken to be.

    Raises:
        ConfigError: with everything that is wrong. It names variables, and repeats no secret.
    """
    read = _Variables(environ)
    settings = Settings(
        environ=environ,
        config=read.one("GATEWAY_CONFIG", Path),
        tokens=tuple(read.several(_tokens) or ()),
        database_url=read.several(_database_url),
        pepper=read.several(_pepper) if has_secrets else read.one("GATEWAY_PEPPER", Secret),
        redis_url=read.one("GATEWAY_REDIS_URL", redis_url),
        spool_dir=read.one("GATEWAY_SPOOL_DIR", Path),
        ledger_days=read.one("GATEWAY_LEDGER_DAYS", _days),
        records_url=read.several(records_url_from),
        records_days=read.one("GATEWAY_RECORDS_DAYS", _days) or RECORDS_DAYS,
        records_metadata=read.each("GATEWAY_RECORDS_METADATA", str),
        responses_days=read.one("GATEWAY_RESPONSES_DAYS", _days_or_none),
        secrets_dir=read.one("GATEWAY_SECRETS_DIR", Path),
        upload_disk_bytes=read.one("GATEWAY_UPLOAD_DISK", _size) or Settings().upload_disk_bytes,
        files_dir=read.one("GATEWAY_FILES_DIR", Path),
        files_disk_bytes=read.one("GATEWAY_FILES_DISK", _size) or Settings().files_disk_bytes,
        egress=Egress(read.each(ALLOW, network)),
        cors_origins=read.each("GATEWAY_CORS_ORIGINS", str),
        proxies=read.several(proxies_from) or Proxies(),
        telemetry=read.several(telemetry_from) or TelemetrySettings(),
    )
    if read.faults:
        raise ConfigError(read.faults)
    return settings


class _Variables:
    """Reads them, and keeps what is wrong with each."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.faults: list[Fault] = []

    def one(self, name: str, parse: Callable[[str], Value]) -> Value | None:
        text = self.environ.get(name)
        return self._parsed(name, parse, text) if text else None

    def each(self, name: str, parse: Callable[[str], Value]) -> tuple[Value, ...]:
        """Of what stands between commas."""
        words = filter(None, map(str.strip, self.environ.get(name, "").split(",")))
        found = [self._parsed(name, parse, word) for word in words]
        return tuple(value for value in found if value is not None)

    def several(self, parse: Callable[[Mapping[str, str]], Value]) -> Value | None:
        """What takes more than one variable, or has its own faults."""
        try:
            return parse(self.environ)
        except ConfigError as error:
            self.faults += error.faults
            return None

    def _parsed(self, name: str, parse: Callable[[str], Value], text: str) -> Value | None:
        try:
            return parse(text)
        except ValueError as error:
            self.faults.append(_fault(name, str(error)))
            return None


def _tokens(environ: Mapping[str, str]) -> list[tuple[Secret, Caller]]:
    """`GATEWAY_ADMIN_TOKEN` is the admin's; `GATEWAY_TOKENS` holds others as `subject=token`, separated by commas. What
    editors and shells leave around a token, such as a line break, is left out."""
    found: list[tuple[Secret, Caller]] = []
    faults: list[Fault] = []

    def add(token: str, caller: Caller, variable: str, of: str) -> None:
        found.append((Secret(token), caller))
        if problem := _problem_of(token):
            faults.append(_fault(variable, of + problem))

    if admin := cleaned_token(environ.get("GATEWAY_ADMIN_TOKEN", "")):
        add(admin, ADMIN, "GATEWAY_ADMIN_TOKEN", "")
    entries = map(cleaned_token, environ.get("GATEWAY_TOKENS", "").split(","))
    for number, entry in enumerate(filter(None, entries), 1):
        text, _, token = map(cleaned_token, entry.partition("="))
        subject = canonical(text)
        if subject is None or subject.startswith("team:") or not token:
            problem = f"entry {number} is not of the form user:name@example.com=token"
            faults.append(_fault("GATEWAY_TOKENS", problem))
            continue
        add(token, Caller(subject=subject), "GATEWAY_TOKENS", f"entry {number}: the token of {subject} ")
    if faults:
        raise ConfigError(faults)
    return found


def _problem_of(token: str) -> str | None:
    if len(token) < MIN_TOKEN_CHARS:
        return f"has fewer than {MIN_TOKEN_CHARS} characters"
    if " " in token or not token.isprintable():
        return "holds a space, or a character that cannot be seen"
    return None


def _database_url(environ: Mapping[str, str]) -> Secret | None:
    url = environ.get("GATEWAY_DATABASE_URL")
    if not url:
        return None
    from gateway.state.database.engine import engine_of  # with SQLAlchemy, which takes 0.3 s

    engine_of(url)
    return Secret(url)


def records_url_from(environ: Mapping[str, str]) -> Secret | None:
    """Beside the ledger, in a file of its own if that is SQLite's: see `gateway.state.requests.tables`. None: none."""
    chosen = environ.get("GATEWAY_RECORDS_URL") or environ.get("GATEWAY_DATABASE_URL")
    if not chosen or chosen == "none":
        return None
    if environ.get("GATEWAY_RECORDS_URL"):
        from gateway.state.database.engine import engine_of  # with SQLAlchemy, which takes 0.3 s

        try:
            engine_of(chosen)
        except ConfigError as error:
            raise ConfigError([_fault("GATEWAY_RECORDS_URL", fault.message) for fault in error.faults]) from None
        return Secret(chosen)
    scheme, separator, path = chosen.partition(":///")
    if not scheme.lower().startswith("sqlite"):
        return Secret(chosen)
    file = Path(path)
    return Secret(f"{scheme}{separator}{file.with_name(f'{file.stem}-requests{file.suffix}')}")


def _pepper(environ: Mapping[str, str]) -> Secret | None:
    pepper = environ.get("GATEWAY_PEPPER", "")
    if environ.get("GATEWAY_DATABASE_URL") and len(pepper.encode()) < MIN_PEPPER_BYTES:
        problem = f"has to be set, to at least {MIN_PEPPER_BYTES} characters: it keeps the tokens and secrets in the "
        problem += "database safe. All replicas need the same one; `openssl rand -hex 32` makes one"
        raise ConfigError([_fault("GATEWAY_PEPPER", problem)])
    return Secret(pepper) if pepper else None


def _days(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise ValueError("has to be a number of days above 0")
    return int(text)


def _days_or_none(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_RESPONSES_DAYS:
        raise ValueError(f"has to be a number of days from 0 to {MAX_RESPONSES_DAYS}")
    return int(text)


def _size(text: str) -> int:
    """`1073741824`, `1024Mi` and `1Gi` are the same. Source: Kubernetes, "Resource Management", memory."""
    number, unit = (text[:-2], text[-2:]) if text[-2:] in _SIZES else (text, "")
    if not (number.isascii() and number.isdecimal() and len(number) < 16 and int(number) > 0):
        raise ValueError("has to be a number of bytes above 0, as in 1073741824, 512Mi or 1Gi")
    return int(number) * _SIZES.get(unit, 1)


def _fault(variable: str, problem: str) -> Fault:
    return Fault("the environment", 0, variable, problem)
