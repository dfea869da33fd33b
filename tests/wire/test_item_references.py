"""Which items a provider would look up by their ids."""

import msgspec
import pytest

from gateway.wire.item_references import looked_up, may_refer


@pytest.mark.parametrize(
    ("items", "ids"),
    [
        ([], []),
        ([{"type": "item_reference", "id": "a"}, {"id": "b"}, {"id": "a"}], ["a", "b"]),
        ([{"type": "item_reference", "id": "a", "content": "x"}], ["a"]),
        ([{"type": "reasoning", "id": "a"}, {"type": "reasoning", "id": "b", "encrypted_content": "x"}], ["a"]),
        ([{"type": "message", "id": "a"}, {"type": 1, "id": "b", "role": "user"}, {"type": "item_reference"}], []),
        ([{"type": "item_reference", "id": 1}, {"type": "item_reference", "id": ""}], []),
    ],
)
def test_items_without_content_are_looked_up(items, ids):
    raw = msgspec.json.decode(msgspec.json.encode(items), type=list[dict[str, msgspec.Raw]])

    assert looked_up(raw) == ids


@pytest.mark.parametrize(
    ("given", "may"), [(b'"text"', False), (b'[{"role":"user"}]', False), (b'[{"id":1}]', True), (rb'["\u0069"]', True)]
)
def test_most_inputs_need_not_be_looked_at(given, may):
    assert may_refer(given) == may
