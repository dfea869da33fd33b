"""What people say of requests: a verdict, a number or a category, and a comment, by whoever may see the request.

Beside our own routes are those of TrueFoundry, whose `rating` is here a number of that name.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from gateway.contract import Record
from gateway.control.control import Ask, Control, store_of
from gateway.control.schema import FeedbackRow, Listing, Shown
from gateway.control.sight import sight_of
from gateway.errors import BadRequest, NotFound, RateLimited
from gateway.logs import holds_secret, redact_text
from gateway.state.requests.asked import Page, Query, filters_of

if TYPE_CHECKING:
    from gateway.state.requests.feedback import Feedbacks
    from gateway.state.requests.feedback_rows import Feedback, Kind

MOST_COMMENT = 4000
MOST_CATEGORY = 64
MOST_PAIRS = 16
MOST_TEXT = 256
RATING = "rating"
NAMES = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
IDS = re.compile(r"[0-9a-f]{32}")
EARLY = timedelta(minutes=1)
"""So far may the clocks of two gateways differ."""

Value = bool | int | float | str


class FeedbackBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Args:
        value: `up` or `down`, or true or false for the same; a number; any other text is a category. None: there is a
            comment alone.
    """

    value: Value | None = None
    comment: str | None = None
    metadata: dict[str, str] = {}


class FeedbackTarget(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    feedback_target_id: str


class RatingBody(msgspec.Struct, frozen=True, kw_only=True):
    """Source: section 5.3 of the project's compatibility notes."""

    target: FeedbackTarget
    rating: Annotated[int, Meta(ge=1, le=5)]
    comment: str | None = None
    metadata: dict[str, str] = {}


class RatingChange(msgspec.Struct, frozen=True, kw_only=True):
    rating: Annotated[int, Meta(ge=1, le=5)] | None = None
    comment: str | None = None
    metadata: dict[str, str] | None = None


# --- the handlers ------------------------------------------------------------


async def give_feedback(control: Control, ask: Ask) -> Shown[FeedbackRow]:
    """In the place of what the caller said under that name before, so that it may be sent again."""
    given = await _given(control, ask, ask.path["request_id"], ask.path["name"], ask.body)
    return Shown(row_of(given))


async def list_feedback(control: Control, ask: Ask) -> Listing[FeedbackRow]:
    """All that was said of a request, the oldest first; before that is in the records, the caller's own."""
    id_ = ask.path["request_id"]
    record = await _record(control, ask, id_)
    given = await _feedbacks(control).of_request(_id(control, id_) if record is None else id_)
    if record is None:
        return Listing([row_of(each) for each in given if each.subject == ask.caller.subject])
    return Listing([row_of(each) for each in given if each.counts_for(record)])


async def take_back_feedback(control: Control, ask: Ask) -> Shown[FeedbackRow]:
    """The caller's own."""
    given = await _feedbacks(control).of_request(ask.path["request_id"])
    mine = [each for each in given if (each.subject, each.name) == (ask.caller.subject, ask.path["name"])]
    if not mine:
        raise NotFound(f"you have said nothing of this request as {ask.path['name'][:100]!r}")
    await _feedbacks(control).take_back(mine[0])
    return Shown(row_of(mine[0]))


async def give_rating(control: Control, ask: Ask) -> Shown[FeedbackRow]:
    """As TrueFoundry has it: a rating from 1 to 5."""
    asked: RatingBody = ask.body
    body = FeedbackBody(value=asked.rating, comment=asked.comment, metadata=asked.metadata)
    return Shown(row_of(await _given(control, ask, asked.target.feedback_target_id, RATING, body)))


async def change_rating(control: Control, ask: Ask) -> Shown[FeedbackRow]:
    """The caller's own, by its id. What is not named stays."""
    before, change = await _by_id(control, ask, by_all=False), ask.body
    value: Value | None = change.rating if change.rating is not None else value_of(before)
    comment = change.comment if change.comment is not None else before.comment
    metadata = change.metadata if change.metadata is not None else dict(before.metadata)
    body = FeedbackBody(value=value, comment=comment, metadata=metadata)
    return Shown(row_of(await _given(control, ask, before.request_id, before.name, body)))


async def take_back_rating(control: Control, ask: Ask) -> Shown[FeedbackRow]:
    """The caller's own; admins can take back anybody's."""
    given = await _by_id(control, ask, by_all=ask.caller.is_admin)
    await _feedbacks(control).take_back(given)
    return Shown(row_of(given))


# --- what is shown -----------------------------------------------------------


def row_of(given: "Feedback") -> FeedbackRow:
    return FeedbackRow(
        id=given.id,
        request_id=given.request_id,
        name=given.name,
        kind=given.kind,
        value=value_of(given),
        comment=given.comment,
        metadata=given.metadata,
        by=given.subject,
        created_at=given.created_at,
        updated_at=given.updated_at,
        pending=not given.is_checked,
    )


def value_of(given: "Feedback") -> str | float | None:
    return given.score if given.kind == "number" else given.value


async def rows_for(control: Control, records: Sequence[Record]) -> Mapping[str, tuple[FeedbackRow, ...]]:
    """Id of a request -> what was said of it; of most, nothing."""
    found = await _feedbacks(control).of(records)
    return {id_: tuple(map(row_of, given)) for id_, given in found.items()}


async def page_of(control: Control, query: Query, **budget: float) -> Page:
    """Of records; those that feedback is asked for of, too."""
    return await _feedbacks(control).page(query, **budget)


# --- what is given -----------------------------------------------------------


async def _given(control: Control, ask: Ask, request_id: str, name: str, body: FeedbackBody) -> "Feedback":
    """Raises NotFound, BadRequest, RateLimited."""
    from gateway.state.requests.feedback import MOST_NAMES, MOST_PENDING, TooEarly, TooMany
    from gateway.state.requests.feedback_rows import Feedback

    if not NAMES.fullmatch(name) or holds_secret(name.encode()):
        raise BadRequest("a name has at most 64 letters, digits, _, . and -, as in helpful", param="name")
    kind, value, score = _understood(body)
    record = await _record(control, ask, request_id)
    sees_all = sight_of(control.config.snapshot, ask.caller, "traces").rules is None
    now = control.now()
    given = Feedback(
        request_id=_id(control, request_id) if record is None else request_id,
        subject=ask.caller.subject,
        name=name,
        kind=kind,
        value=value,
        score=score,
        comment=_readable(control, "comment", body.comment, MOST_COMMENT),
        metadata=_metadata(control, body.metadata),
        created_at=now,
        updated_at=now,
        is_checked=record is not None or sees_all,
    )
    if kind == "category":
        given = msgspec.structs.replace(given, value=_readable(control, "value", value, MOST_CATEGORY))
    try:
        return await _feedbacks(control).give(given)
    except TooMany as error:
        raise BadRequest(f"you have said {MOST_NAMES} things of this request, which is all there may be") from error
    except TooEarly as error:
        message = f"you have said something of {MOST_PENDING:,} requests that are not in the records yet"
        raise RateLimited(message, retry_after_s=60) from error


def _understood(body: FeedbackBody) -> tuple["Kind", str | None, float | None]:
    """Kind, value and score. Raises BadRequest."""
    value = body.value
    match value:
        case None if not body.comment:
            raise BadRequest('feedback has a value, as in {"value": "up"}, or a comment', param="value")
        case None:
            return "comment", None, None
        case True | "up":
            return "thumbs", "up", 1.0
        case False | "down":
            return "thumbs", "down", 0.0
        case str():
            if not value.strip():
                raise BadRequest("a category is not empty", param="value")
            return "category", value, None
    if not abs(value) <= 1e15:
        raise BadRequest("a number lies between -1e15 and 1e15", param="value")
    return "number", repr(value), float(value)


def _metadata(control: Control, pairs: Mapping[str, str]) -> dict[str, str]:
    if len(pairs) > MOST_PAIRS:
        raise BadRequest(f"metadata has at most {MOST_PAIRS} keys", param="metadata")

    def readable(text: str) -> str:
        return _readable(control, "metadata", text, MOST_TEXT) or ""

    return {readable(name): readable(text) for name, text in pairs.items()}


def _readable(control: Control, field: str, text: str | None, most: int) -> str | None:
    """Without what looks like a key, and what any rule of `gateway-logging-config` hides: which rules a request fits
    is not known before its record is there. Raises BadRequest: it is too long, or no database has such a text."""
    if not text:
        return None
    if len(text) > most:
        raise BadRequest(f"{field} has at most {most:,} characters", param=field)
    if "\0" in text:
        raise BadRequest(f"{field} holds the character NUL", param=field)
    text = redact_text(text)
    for rule in control.config.snapshot.logging.rules:
        if rule.redaction is not None:
            text = rule.redaction.of(text)
    return text


# --- of which request --------------------------------------------------------


async def _record(control: Control, ask: Ask, id_: str) -> Record | None:
    """None: it is not in the records. Raises NotFound: it is, and the caller may not see it."""
    records = store_of(control)
    seen = sight_of(control.config.snapshot, ask.caller, "traces").rules
    named = filters_of([("id", id_)])
    page = await records.page(Query(filters=named, seen=seen, limit=1))
    if page.records:
        return page.records[0]
    if seen is not None and (await records.page(Query(filters=named, limit=1))).records:
        raise _unknown(id_)
    return None


def _id(control: Control, id_: str) -> str:
    """Of a request that may be written down in a moment. Raises NotFound: it cannot be."""
    from gateway.state.requests.feedback import PENDING
    from gateway.state.requests.tables import time_of

    at = time_of(id_) if IDS.fullmatch(id_) else None
    if at is None or not -EARLY <= control.now() - at <= PENDING:
        raise _unknown(id_)
    return id_


def _unknown(id_: str) -> NotFound:
    return NotFound(f"there is no request {id_[:200]!r}: its id is the x-request-id of its answer")


async def _by_id(control: Control, ask: Ask, *, by_all: bool) -> "Feedback":
    """Raises NotFound: there is none, or it is somebody else's."""
    id_ = ask.path["id"]
    for given in await _feedbacks(control).of_request(id_.partition("-")[0]):
        if given.id == id_ and (by_all or given.subject == ask.caller.subject):
            return given
    raise NotFound(f"there is no feedback {id_[:100]!r} of yours")


def _feedbacks(control: Control) -> "Feedbacks":
    from gateway.state.requests.feedback import Feedbacks  # with SQLAlchemy, which takes 0.3 s

    return Feedbacks(store_of(control))
