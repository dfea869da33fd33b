"""Items of the Responses API that one provider can read and others cannot: those that the gateway has made, and those
that an account has encrypted.

Source: platform.openai.com/docs/api-reference/responses, /docs/guides/reasoning (encrypted reasoning items); read
2026-11.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from hashlib import blake2s
from typing import Any

import msgspec

from gateway.errors import BadRequest

REASONING = "gateway:reasoning:"
SUMMARY = "gateway:summary:"
"""How `encrypted_content` begins that the gateway has written: in base64."""
ACCOUNT = "gateway:account:"
"""How it begins where a provider has encrypted it, and several could be asked for the next turn: the mark of the
account follows, a colon, and what the provider wrote."""
SUMMARY_HEAD = "Summary of the conversation up to here:"

_OWN_ID = re.compile(r"[a-z]{2,4}_gw[0-9a-f]{32}(?:_[0-9]{1,6})?\Z")
_MAY_BE_OWN = re.compile(rb'_gw[0-9a-f]{32}_|"gateway:(?:reasoning|summary|account):')
_MARK = re.compile(rb'"gateway:account:([0-9a-f]{12}):')
_ENCRYPTED = re.compile(rb'("encrypted_content"\s*+:\s*+")(?=[^"])')
"""Where its text begins: inside of a string, a quotation mark is escaped."""
_NEED_IDS = (msgspec.Raw(b'"item_reference"'), msgspec.Raw(b'"reasoning"'))
_encode = msgspec.json.encode
_items = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_string = msgspec.json.Decoder(str)


def response_id(hexadecimal: str) -> str:
    """Of a response that the gateway makes."""
    return f"resp_gw{hexadecimal}"


def is_own(id_: str) -> bool:
    """Whether the gateway has made a response, or an item in one, and not a provider."""
    return _OWN_ID.match(id_) is not None


def response_of(item_id: str) -> str:
    """Of an item that is `is_own`, the response in which it was."""
    return response_id(item_id.partition("_gw")[2].partition("_")[0])


def mark_of(account: str) -> str:
    """What tells an account from others, and not its name: callers see it."""
    return blake2s(account.encode(), digest_size=6).hexdigest()


def accounts_in(items: msgspec.Raw | None, accounts: Iterable[str]) -> tuple[str | None, bool]:
    """Which of them wrote the last that none of the others can read, and whether it cannot go on without that; None:
    there is no such thing, or it is of another account."""
    if items is None or not (marks := _MARK.findall(items)):
        return None, False
    by_mark = {mark_of(account): account for account in accounts}
    needed = [_mark_in(fields) for fields in _objects(items) if bytes(fields.get("type", b"")) == b'"compaction"']
    account = by_mark.get(needed[-1] or "" if needed else marks[-1].decode())
    return account, bool(needed) and account is not None


def marked(data: bytes, account: str) -> bytes:
    """Whole events, or a document: what only this account can read bears its mark."""
    return _ENCRYPTED.sub(b"\\1%b%b:" % (ACCOUNT.encode(), mark_of(account).encode()), data)


def for_provider(fields: dict[str, Any], account: str) -> tuple[str, ...]:
    """Of a body for a provider of this API, in place: without what is the gateway's own, or another account's.

    Returns:
        What was left out that the caller has sent.

    Raises:
        BadRequest: it cannot go on without that.
    """
    dropped: tuple[str, ...] = ()
    if (items := fields.get("input")) is not None:
        fields["input"], dropped = without_own(items, account)
    previous = fields.get("previous_response_id")
    if previous is not None and is_own(_text(previous)):
        del fields["previous_response_id"]  # what came before stands in the input
    return dropped


def without_own(items: msgspec.Raw, account: str) -> tuple[msgspec.Raw, tuple[str, ...]]:
    """For providers of this API, who know no items but their own: the ids of ours are left out, and so is reasoning
    that only we can read, or another account. What holds nothing of the kind stays as it is, to the byte.
    """
    if not _MAY_BE_OWN.search(items) or not bytes(items).lstrip().startswith(b"["):
        return items, ()
    kept: list[Any] = []
    is_foreign = False
    for raw in _items.decode(items):
        try:
            if (item := _for_others(raw, mark_of(account))) is not None:
                kept.append(item)
        except _AnotherAccounts:
            is_foreign = True
    if is_foreign:  # it would look for reasoning that belonged to the items that are left
        kept = [_without_id(item) for item in kept]
    return msgspec.Raw(_encode(kept)), ("input.reasoning.encrypted_content",) if is_foreign else ()


class _AnotherAccounts(Exception):
    """An item that can be left out."""


def _for_others(raw: msgspec.Raw, mark: str) -> Any:
    """None: it is nothing to a provider."""
    if not _MAY_BE_OWN.search(raw) or not bytes(raw).lstrip().startswith(b"{"):
        return raw
    fields = _object.decode(raw)
    encrypted, kind = _unescaped(fields.get("encrypted_content", b"")), bytes(fields.get("type", b""))
    if encrypted.startswith(REASONING):
        return None
    if encrypted.startswith(SUMMARY):
        return {"type": "message", "role": "user", "content": f"{SUMMARY_HEAD}\n\n{summary_in(encrypted)}"}
    if encrypted.startswith(ACCOUNT):
        if _mark_in(fields) == mark:
            original = bytes(fields["encrypted_content"])[len(ACCOUNT) + len(mark) + 2 :]
            return {**fields, "encrypted_content": msgspec.Raw(b'"' + original)}
        if kind == b'"reasoning"':
            raise _AnotherAccounts
        raise BadRequest(
            "what stands in the place of the conversation can be read by the account alone that made it, which cannot "
            "be asked here: send the conversation itself",
            code="invalid_encrypted_content",
            param="input",
        )
    if not is_own(_text(fields.get("id", b""))):
        return raw
    if kind == b'"reasoning"':
        return None
    return {name: value for name, value in fields.items() if name != "id"}


def _without_id(item: Any) -> Any:
    if not isinstance(item, dict):
        if not bytes(item).lstrip().startswith(b"{"):
            return item
        item = _object.decode(item)
    if item.get("type") in _NEED_IDS:
        return item
    return {name: value for name, value in item.items() if name != "id"}


def _objects(items: msgspec.Raw) -> list[dict[str, msgspec.Raw]]:
    try:
        raws = _items.decode(items)
        return [_object.decode(raw) for raw in raws if _MARK.search(raw) and bytes(raw).lstrip().startswith(b"{")]
    except (msgspec.DecodeError, RecursionError):
        return []


def _mark_in(fields: dict[str, msgspec.Raw]) -> str | None:
    found = _MARK.match(bytes(fields.get("encrypted_content", b"")))
    return found[1].decode() if found is not None else None


def closed(summary: str) -> str:
    """A summary as an item has it: opaque to callers, as OpenAI's are, and no secret to who wrote the conversation."""
    return SUMMARY + urlsafe_b64encode(summary.encode()).decode()


def summary_in(encrypted_content: str) -> str | None:
    """None: a provider has written it, and can read it, not we."""
    if not encrypted_content.startswith(SUMMARY):
        return None
    try:
        return urlsafe_b64decode(encrypted_content.removeprefix(SUMMARY)).decode()
    except ValueError:
        return ""


def _text(raw: msgspec.Raw | bytes) -> str:
    """Of a JSON string without escapes, as ids are."""
    return bytes(raw).decode(errors="replace").strip('"')


def _unescaped(raw: msgspec.Raw | bytes) -> str:
    """As guardrails have read it, too: what is written with escapes must not be one thing to them, and another to a
    model. Empty: it is no text."""
    try:
        return _string.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
