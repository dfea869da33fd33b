"""JSON of servers that write it badly."""

from typing import Any

import msgspec
import pytest

from gateway.wire.lenient import decoded, lenient_json


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (rb'["\ud83d", NaN]', ["\ufffd", pytest.approx(float("nan"), nan_ok=True)]),
        (rb'["\ud83d\ude00", "\ud83d"]', ["\U0001f600", "\ufffd"]),
        (rb'["\ud83d\ud83d\uDE00\ude00"]', ["\ufffd\U0001f600\ufffd"]),
        (rb'["\ude00\ud83d"]', ["\ufffd\ufffd"]),
        (rb'["\ud83d\\ude00"]', ["\ufffd\\ude00"]),
        (rb'["\\ud83d", "\\\ud83d", "\uD83D"]', ["\\ud83d", "\\\ufffd", "\ufffd"]),
        (b'\xef\xbb\xbf["\\ud83d\\ude00"]', ["\U0001f600"]),
    ],
)
def test_only_halves_of_pairs_are_replaced(data, value):
    """Whole ones were, too, and what only looked like one behind a backslash, wherever another fault was."""
    assert lenient_json(data) == value


class Call(msgspec.Struct):
    name: str
    args: msgspec.Raw = msgspec.Raw(b"{}")


class Part(msgspec.Struct, rename="camel"):
    text: str = ""
    some_calls: list[Call] = []
    inner: "Part | None" = None
    anything: Any = 1


_part = msgspec.json.Decoder(Part)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"text":null,"someCalls":null}', Part()),
        (b'{"someCalls":[null,{"name":"a","args":null}]}', Part(some_calls=[Call("a", msgspec.Raw(b"null"))])),
        (
            b'{"text":null,"someCalls":[{"name":"a","args":{"b":null,"c":[null]}}]}',
            Part(some_calls=[Call("a", msgspec.Raw(b'{"b":null,"c":[null]}'))]),
        ),
        (b'{"inner":{"text":null,"inner":{"someCalls":null}}}', Part(inner=Part(inner=Part()))),
        (b'{"text":null,"anything":null,"inner":null,"unknown":null}', Part(anything=None)),
        (rb'{"text":"\ud83d","inner":{"text":null}}', Part("\ufffd", inner=Part())),
    ],
)
def test_null_says_nothing(data, said):
    """An answer was refused for a null where its API leaves the field out; what a function is given stays as it is."""
    assert decoded(data, _part) == said


@pytest.mark.parametrize("data", [b'{"text":7}', b'{"someCalls":[{"name":null}]}', b"[]", b"null", b'{"text":null'])
def test_what_may_be_content_is_not_passed_over(data):
    with pytest.raises(ValueError, match=r"Expected|missing|delimiter"):
        decoded(data, _part)
