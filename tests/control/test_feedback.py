"""What people say of requests: by whom, of which, and where it is seen again."""

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.contract import Outcome, Record

ANA, BO = "user:ana@example.com", "user:bo@example.com"
NOW = datetime.now(UTC)
CANARY = "sk-canary0123456789abcdef"
HIDING = {
    "type": "gateway-logging-config",
    "name": "numbers",
    "log": True,
    "redact_with": {"custom_patterns": [{"pattern": "EMP-[0-9]+", "redaction_text": "[EMP]"}]},
}


def record_of(number, subject=ANA):
    at = NOW - timedelta(minutes=30) + timedelta(seconds=number)
    return Record(
        timestamp=at,
        level="info",
        request_id=f"{int(at.timestamp() * 1000):012x}{number:020x}",
        method="POST",
        path="/v1/chat/completions",
        status=200,
        outcome=Outcome.COMPLETE,
        duration_ms=100.0,
        request_type="chat",
        subject=subject,
        model="demo/echo",
        resolved_model="demo/echo",
    )


@pytest.fixture
async def filled(api):
    api.records = [record_of(0), record_of(1, BO), record_of(2)]
    api.ids = [record.request_id for record in api.records]
    await api.app.control.records.write(api.records)
    return api


async def give(api, number, name="helpful", *, by="ana", **body):
    id_ = api.ids[number] if isinstance(number, int) else number
    return await api.ask("PUT", f"/requests/{id_}/feedback/{name}", body, by=by)


async def given(api, number, *, by="admin"):
    found = await api.done(api.ask("GET", f"/requests/{api.ids[number]}/feedback", by=by))
    return [(each["by"], each["name"], each["kind"], each["value"]) for each in found["data"]]


async def test_kinds(filled):
    for name, value in (("helpful", "up"), ("right", False), ("rating", 4.5), ("topic", "billing"), ("note", None)):
        await filled.done(give(filled, 0, name, value=value, comment="because"))

    assert await given(filled, 0) == [
        (ANA, "helpful", "thumbs", "up"),
        (ANA, "right", "thumbs", "down"),
        (ANA, "rating", "number", 4.5),
        (ANA, "topic", "category", "billing"),
        (ANA, "note", "comment", None),
    ]


async def test_it_is_seen_with_its_request(filled):
    """In the list, in its details, and in exports; and requests are found by it."""
    await filled.done(give(filled, 0, value="up", comment="=1+1", metadata={"page": "7"}))

    [row] = (await filled.done(filled.ask("GET", "/requests?feedback.helpful=up", by="ana")))["data"]
    details = (await filled.done(filled.ask("GET", f"/requests/{filled.ids[0]}", by="ana")))["data"]
    exported = await filled.ask("GET", "/requests/export?format=csv&feedback=*", by="ana")
    [line] = csv.DictReader(io.StringIO(exported.body.decode()))

    [said] = row["feedback"]
    assert (said["requestId"], said["by"], said["comment"]) == (filled.ids[0], ANA, "=1+1")
    assert (said["metadata"], said["pending"]) == ({"page": "7"}, False)
    assert details["request"]["feedback"] == [said]
    assert (line["requestId"], line["feedback"][0], '"comment":"=1+1"' in line["feedback"]) == (
        filled.ids[0],
        "[",
        True,
    )


async def test_the_same_once_more_is_not_twice(filled):
    first = await filled.done(give(filled, 0, value="up"))
    again = await filled.done(give(filled, 0, value="down"))

    assert await given(filled, 0) == [(ANA, "helpful", "thumbs", "down")]
    assert (again["data"]["id"], again["data"]["createdAt"]) == (first["data"]["id"], first["data"]["createdAt"])


async def test_of_whose_requests(filled):
    """Everybody's own, and those they may look at."""
    assert (await give(filled, 1, value="up", by="ana")).status == 404
    assert (await filled.ask("GET", f"/requests/{filled.ids[1]}/feedback", by="ana")).status == 404
    await filled.done(give(filled, 1, value="up", by="bo"))
    await filled.done(give(filled, 1, value="down", by="admin"))
    await filled.done(filled.apply({"type": "team", "name": "pair", "members": ["ana@example.com", "bo@example.com"]}))
    rule = {"id": "mates", "subjects": ["team:pair"], "data_types": ["traces"], "scope": "team_data"}
    await filled.done(filled.apply({"type": "gateway-data-access-config", "name": "access", "rules": [rule]}))

    await filled.done(give(filled, 1, value="up", by="ana"))

    assert [who for who, *_ in await given(filled, 1, by="bo")] == [BO, "user:admin", ANA]


async def test_before_the_record_is_written(filled):
    """Records are written a moment after the answer, and somebody may be faster. It counts once that is there."""
    late = record_of(9)
    other = record_of(8, BO)
    filled.ids += [late.request_id, other.request_id]

    early = await filled.done(give(filled, late.request_id, value="up"))
    await filled.done(give(filled, other.request_id, value="up"))
    own = (await filled.done(filled.ask("GET", f"/requests/{late.request_id}/feedback", by="ana")))["data"]
    await filled.app.control.records.write([late, other])

    assert early["data"]["pending"]
    assert [each["value"] for each in own] == ["up"]
    assert await given(filled, -2) == [(ANA, "helpful", "thumbs", "up")]
    assert await given(filled, -1) == []  # it was not hers
    rows = await filled.done(filled.ask("GET", "/requests?feedback=*", by="admin"))
    assert [row["requestId"] for row in rows["data"]] == [late.request_id]


async def test_ratings_as_truefoundry_has_them(filled):
    target = {"feedbackTargetId": filled.ids[0]}
    new = await filled.done(
        filled.ask("POST", "/gateway-feedback", {"target": target, "rating": 4, "comment": "good"}, by="ana")
    )
    path = f"/gateway-feedback/{new['data']['id']}"

    assert (await filled.ask("PUT", path, {"rating": 1}, by="bo")).status == 404
    changed = await filled.done(filled.ask("PUT", path, {"rating": 2}, by="ana"))
    assert (changed["data"]["value"], changed["data"]["comment"]) == (2.0, "good")
    assert (await filled.ask("DELETE", path, by="bo")).status == 404
    await filled.done(filled.ask("DELETE", path, by="admin"))
    assert await given(filled, 0) == []
    assert (await filled.ask("PUT", path, {"rating": 1}, by="ana")).status == 404


async def test_it_is_taken_back(filled):
    await filled.done(give(filled, 0, value="up"))

    assert (await filled.ask("DELETE", f"/requests/{filled.ids[0]}/feedback/helpful", by="admin")).status == 404
    await filled.done(filled.ask("DELETE", f"/requests/{filled.ids[0]}/feedback/helpful", by="ana"))

    assert await given(filled, 0) == []


@pytest.mark.parametrize(
    ("id_", "name", "body", "status", "message"),
    [
        (0, "helpful", {}, 400, "feedback has a value"),
        (0, "helpful", {"comment": ""}, 400, "feedback has a value"),
        (0, "helpful", {"score": 1}, 400, "unknown field `score`"),
        (0, "helpful", {"value": []}, 400, "cannot be used"),
        (0, "helpful", {"value": " "}, 400, "a category is not empty"),
        (0, "helpful", {"value": 1e16}, 400, "a number lies between"),
        (0, "helpful", {"value": "x" * 65}, 400, "value has at most 64 characters"),
        (0, "helpful", {"comment": "x" * 4001}, 400, "comment has at most 4,000 characters"),
        (0, "helpful", {"comment": "a\0b"}, 400, "comment holds the character NUL"),
        (0, "helpful", {"value": "up", "metadata": {str(n): "" for n in range(17)}}, 400, "at most 16 keys"),
        (0, "ä", {"value": "up"}, 400, "a name has at most 64 letters"),
        (0, CANARY, {"value": "up"}, 400, "a name has at most 64 letters"),
        ("nothing", "helpful", {"value": "up"}, 404, "there is no request 'nothing'"),
        ("0" * 32, "helpful", {"value": "up"}, 404, "its id is the x-request-id of its answer"),
        ("f" * 32, "helpful", {"value": "up"}, 404, "its id is the x-request-id of its answer"),
    ],
)
async def test_what_is_no_feedback(filled, id_, name, body, status, message):
    found, said = await filled.refused(give(filled, id_, name, **body))

    assert (found, message in said) == (status, True), said


@pytest.mark.parametrize(
    "body", [b'{"value": NaN}', b'{"value": 1e400}', b'{"comment": "\\ud83d"}', b'{"value": "\xff"}']
)
async def test_bytes_that_are_no_feedback(filled, body):
    path = f"/requests/{filled.ids[0]}/feedback/x"

    answer = await filled.ask("PUT", path, body, by="ana")

    assert answer.status == 400, answer.body


async def test_so_much_may_be_said_of_one_request(filled):
    """And what was said may still be changed."""
    for number in range(50):
        await filled.done(give(filled, 0, f"n{number}", value=number))

    status, message = await filled.refused(give(filled, 0, "one-more", value=1))

    assert (status, message) == (400, "you have said 50 things of this request, which is all there may be")
    await filled.done(give(filled, 0, "n7", value=1))


async def test_no_key_is_kept(filled):
    """Whatever people paste into a comment; and what rules for the log hide is hidden here, too."""
    await filled.done(filled.apply(HIDING))
    words = f"key {CANARY}, EMP-17"

    for name, value in (("note", None), ("topic", f"{CANARY} EMP-17"), ("n", 1)):
        await filled.done(give(filled, 0, name, value=value, comment=words, metadata={words: words}))

    for path in (f"/requests/{filled.ids[0]}", f"/requests/{filled.ids[0]}/feedback", "/requests/export"):
        text = (await filled.ask("GET", path)).body.decode()
        assert ("[EMP]" in text, "EMP-17" in text, CANARY in text) == (True, False, False)
    folder = Path(filled.app.control.url.removeprefix("sqlite:///")).parent
    kept = b"".join(file.read_bytes() for file in folder.glob("gateway-requests.db*"))
    assert CANARY.encode() not in kept
