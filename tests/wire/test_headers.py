"""Which headers may be sent along. What ends a message or hides another in it is nobody's to set."""

import pytest

from gateway.wire.headers import wrong_headers, wrong_name, wrong_value


@pytest.mark.parametrize(
    "name", ["x-api-key", "Authorization", "Cookie", "anthropic-version", "a", "x_y", "!#$%&'*+.^_`|~9"]
)
def test_names_that_can_be_set(name):
    assert wrong_name(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "Transfer-Encoding",
        "transfer_encoding",
        "TRANSFER-ENCODING",
        "Content-Length",
        "content-length_",
        "Host",
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authorization",
        "proxy_anything",
        "Upgrade",
        "HTTP2-Settings",
        "TE",
        "Trailer",
        "Expect",
        "Accept-Encoding",
        "content-encoding",
    ],
)
def test_names_that_cannot(name):
    """However they are spelled: some servers take `_` for `-`."""
    assert wrong_name(name) == f"{name} cannot be set"


@pytest.mark.parametrize(
    "name", ["", " ", "X A", "x:y", "x ", " x", "x\t", "x\r\ny", "x\0", "ä", "x(y)", "[x]", ":path", '"x"', "x\n"]
)
def test_names_that_are_none(name):
    """Sent as they were: `X A: 1` ended the head for one server and not for another."""
    assert wrong_name(name) == f"{name!r} is no name of a header"


@pytest.mark.parametrize(
    ("value", "is_wrong"),
    [
        ("", 0),
        ("a b", 0),
        ("~", 0),
        ("a\r\nb: c", 1),
        ("a\n", 1),
        ("\0", 1),
        ("a\tb", 1),
        ("\x7f", 1),
        ("é", 1),
        ("\u2028", 1),
    ],
)
def test_values(value, is_wrong):
    problem = "the value holds a line break, or another character that no header may hold"

    assert wrong_value(value) == (problem if is_wrong else None)


def test_a_name_stands_there_once():
    """In capitals it is the same, and it was left to chance which of them was sent."""
    assert wrong_headers([("X-Key", "1"), ("x-key", "2"), ("x-other", "3")]) == {
        "x-key": "x-key stands there twice: names of headers are the same in capitals"
    }
