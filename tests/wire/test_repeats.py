"""Objects in JSON that have two members of one name."""

import msgspec
import pytest

from gateway.wire.repeats import has_repeats, may_repeat


@pytest.mark.parametrize(
    ("data", "has"),
    [
        (b'{"a":1,"b":[{"a":2}]}', False),
        (b'{"a":1,"a":2}', True),
        (b'{"a":1,"\\u0061":2}', True),
        (b'[[{"b":{"":0,"":0}}]]', True),
        (b'{"a":"\\u0022\\"","b":"\\\\u0022"}', False),
        (b'{"a":1,"a":"","c":"\\u0022\\u0022\\u0022\\u0022"}', True),
        (b'{"a":[{"x":"\\\\u0022"}],"a":2}', True),
        (b"[1e5, 1.10, -0]", False),
    ],
)
def test_repeats(data, has):
    """A text that was looked at had another beside it that was not, and that a provider might believe."""
    assert has_repeats(data, msgspec.json.decode(data)) is has


def test_plain_documents_are_not_read_again():
    """Whatever the client puts between, and however it writes letters."""
    data = b'{ "a" : "\\u00e9\\n\\"x\\"" ,\n "b" : [ {"c": "\\/"} , {"c": null} ] }'

    assert not may_repeat(data, msgspec.json.decode(data))
