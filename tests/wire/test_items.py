"""How long a list is, without decoding it."""

import msgspec
import pytest

from gateway.wire.items import has_more_items


@pytest.mark.parametrize(
    ("raw", "is_more"),
    [
        (b"[]", False),
        (b"[1,2,3]", False),
        (b' [ 1 , [2,2,2,2] ,\n{"a":[1,2]} ] ', False),
        (b"[1,2,3,4]", True),
        (b' [ {"a":1} , "b,]" , [1,[2]] , {} ]', True),
        (b"[1,2,3,", True),
        (b'"a,b,c,d,e"', False),
        (b'{"a":1,"b":2,"c":3,"d":4}', False),
        (b"", False),
        (b"[1,x,3,4,5]", False),
    ],
)
def test_more_than_three(raw, is_more):
    """What is no list, or broken, is for others to refuse."""
    assert has_more_items(msgspec.Raw(raw), 3) is is_more
