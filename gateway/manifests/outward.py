"""What a manifest sends the gateway to, as whom, and what it has it say there: addresses, identities and headers."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gateway.contract.egress import Egress
from gateway.errors import Fault
from gateway.manifests.accounts import ProviderAccount
from gateway.manifests.guardrails import GuardrailGroup
from gateway.manifests.loader import Manifest
from gateway.manifests.marks import Mark, Marked, marked
from gateway.manifests.references import PREFIX as SECRET_REFERENCE
from gateway.secrecy.secret import Secret
from gateway.wire.address import address_of, host_of, path_of
from gateway.wire.headers import wrong_headers

API_PATHS = (
    *("/chat/completions", "/completions", "/embeddings", "/responses", "/models"),
    *("/images/generations", "/audio/transcriptions", "/audio/speech", "/rerank", "/moderations"),
)
"""Which the gateway, as every client, puts behind a base URL by itself."""


ADDRESSES = (Mark.URL, Mark.HOST, Mark.PORT)
OWN_IDENTITY = (
    "uses the gateway's own identity at its vendor, which only manifests in files and those that an admin applied may; "
    "give it auth_data with credentials of its own"
)


def vouched_in(document: Any) -> set[str]:
    """What an admin who applies it answers for: all that says, or may say, where the gateway goes, and as whom."""
    reached = {_text(value) for _, mark, value in marked(document) if mark in (*ADDRESSES, Mark.OPEN)}
    return reached | _own_identity(document)


def _own_identity(document: Any) -> frozenset[str]:
    return document.own_identity if isinstance(document, ProviderAccount | GuardrailGroup) else frozenset()


def is_trusted(manifest: Manifest, document: Any) -> bool:
    """Whether it may lead into private networks. All but accounts is an admin's own in any case. An address that is
    kept as a secret is of whoever may write secrets, and can be changed without a word here."""
    return _is_trusted(manifest, marked(document))


def _is_trusted(manifest: Manifest, found: Iterable[Marked]) -> bool:
    return not manifest.type.startswith("provider-account/") or (
        manifest.is_trusted
        and not any(SECRET_REFERENCE in str(manifest.value_at(path)) for path, mark, _ in found if mark in ADDRESSES)
    )


def outward(manifest: Manifest, document: Any, egress: Egress) -> tuple[list[Fault], list[Fault]]:
    """Why something of it could not be called, or not safely, or must not be; and warnings about what can be called but
    is probably not what was meant."""
    found = [*marked(document)]
    warnings = _warnings(manifest, found) if isinstance(document, ProviderAccount) else ()
    faults = [*_faults(manifest, found, egress)]
    if not manifest.is_trusted and _own_identity(document):
        faults.append(manifest.fault((), OWN_IDENTITY))
    return faults, [*warnings]


def _faults(manifest: Manifest, found: Sequence[Marked], egress: Egress) -> Iterator[Fault]:
    trusted = _is_trusted(manifest, found)
    for path, mark, value in found:
        try:
            match mark:
                case Mark.URL | Mark.HOST:
                    host = address_of(_text(value)).host if mark is Mark.URL else host_of(_text(value))
                    if refusal := egress.refusal_of_host(host, is_trusted=trusted):
                        yield manifest.fault(path, f"cannot be called: {refusal}")
                case Mark.HEADERS:
                    pairs = [(name, _text(text)) for name, text in value.items()]
                    for name, problem in wrong_headers(pairs).items():
                        yield manifest.fault((*path, name), problem)
        except ValueError as error:
            yield manifest.fault(path, str(error))


def _warnings(manifest: Manifest, found: Sequence[Marked]) -> Iterator[Fault]:
    for path, mark, value in found:
        if mark is not Mark.URL:
            continue
        called = path_of(_text(value)).rstrip("/")
        if doubled := next(filter(called.endswith, API_PATHS), None):
            message = f"ends in {doubled}, which the gateway adds by itself: write only what stands before it"
            yield manifest.fault(path, message)
        elif "//" in called:
            yield manifest.fault(
                path, "has two slashes one after the other in its path, which most servers do not take"
            )


def _text(value: Any) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)
