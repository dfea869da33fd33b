"""Arguments that come in many pieces are not read again with each of them."""

from gateway.translators.growing import Growing


def looks(pieces):
    growing, found = Growing(), []
    for number, piece in enumerate(pieces):
        growing.add(piece)
        if growing.may_be_whole(piece):
            found.append(number)
    return found


def test_what_may_be_the_end_of_an_object_is_looked_at():
    assert looks(['{"a', '":{}', ", ", '"b":1} ', "}"]) == [1, 3, 4]


def test_what_cannot_be_an_end_is_not():
    assert looks(['{"a":"', "}x", "", "]"]) == []


def test_many_small_pieces_are_not_looked_at_each_time():
    """Each might be the last; a hundred thousand of them took minutes."""
    assert len(looks(["}"] * 100_000)) < 5_000
