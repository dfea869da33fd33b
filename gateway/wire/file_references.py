"""Ids of files that stand in a body, wherever: in a part of a message, in an input item, in a tool, in a form."""

import re
from collections.abc import Iterator
from itertools import chain

import msgspec

from gateway.contract.request import FormBody
from gateway.errors import BadRequest

MAX_FILES = 100
"""Of one body; each is looked up."""
_ESCAPED = re.compile(rb"\\u00[2-7]")
"""A letter that nobody has to escape, as somebody would who hides a name."""
_LETTERS = {
    b"\\u00%b" % digits: letter.encode()
    for letter in "_defils"
    for digits in {b"%02x" % ord(letter), b"%02X" % ord(letter)}
}
"""Those of the names, as they may be hidden."""
_NAME = b'"file_id'
_NAMED = re.compile(rb'(?<!\\)"file_id(s?)"[ \t\r\n]*+:[ \t\r\n]*+(?=["\[])')
"""Within a text there is a backslash before each quote, so this is never found there."""
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BETWEEN = re.compile(rb'[^"\[\]{}]*+')
"""What stands between the texts of a list: commas, and what is no text."""
_IN_FORM = re.compile(r"""[^\s"',\[\]]+""")
"""One of several in a field of a form, however they are told apart."""
_id = msgspec.json.Decoder(str)


def may_refer(data: bytes) -> bool:
    """Whether there is anything to look for. It says no to nearly all bodies, about a microsecond for each kB of
    them."""
    if b"file_id" in data:
        return True
    return b"\\" in data and b"\\u00" in data and _ESCAPED.search(data) is not None


def files_in(data: bytes) -> list[str]:
    """The ids, each once, in the order of their first places. Of two fields of one name both count: who reads the body
    next may believe either. The body is searched, not decoded: of millions of small values that would take a second.

    Args:
        data: JSON.

    Raises:
        BadRequest: it names too many.
    """
    if _ESCAPED.search(data) is not None:
        for hidden, letter in _LETTERS.items():
            data = data.replace(hidden, letter)
    found: dict[str, None] = {}
    at = data.find(_NAME)  # ten times as fast as the pattern
    while at >= 0:
        if (name := _NAMED.match(data, at)) is not None:
            for id_ in _texts(data, name.end(), is_list=bool(name[1])):
                found[id_] = None
                if len(found) > MAX_FILES:
                    raise _too_many()
        at = data.find(_NAME, at + 1)
    return [*found]


def files_in_form(form: FormBody) -> list[str]:
    """The same of a form: in `file_id`, `file_ids[]`, `image[file_id]`. Raises BadRequest: it names too many."""
    fields = [part for part in form.parts if part.filename is None and "file_id" in part.name.lower()]
    named = (_IN_FORM.finditer(part.beginning.decode(errors="replace")) for part in fields)
    found: dict[str, None] = {}
    for match in chain.from_iterable(named):
        found[match[0]] = None
        if len(found) > MAX_FILES:
            raise _too_many()
    return [*found]


def _too_many() -> BadRequest:
    return BadRequest(f"the request names more than {MAX_FILES} files")


def _texts(data: bytes, at: int, *, is_list: bool) -> Iterator[str]:
    """The text that stands there; or, of a list, those in it."""
    if is_list:
        if data[at : at + 1] != b"[":
            return
        at = _BETWEEN.match(data, at + 1).end()  # type: ignore[union-attr]  # it matches everywhere
    while (text := _TEXT.match(data, at)) is not None:
        try:
            yield _id.decode(text[0])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BadRequest("the id of a file is no valid text") from None
        if not is_list:
            return
        at = _BETWEEN.match(data, text.end()).end()  # type: ignore[union-attr]
