"""Sets that many hold."""

from gateway.rules.access.sharing import Joined, Unions

ANA, BO, CY = frozenset({"ana"}), frozenset({"bo"}), frozenset({"cy"})


def test_equal_sets_have_one_union():
    """A subject holds it, not a copy, so ten thousand that were given the same cost as much as one."""
    unions = Unions()

    assert unions[(ANA, BO)] == {"ana", "bo"}
    assert unions[(frozenset({"ana"}), frozenset({"bo"}))] is unions[(ANA, BO)]


def test_a_set_alone_is_its_own_union():
    assert Unions()[(ANA,)] is ANA


def test_sets_that_are_joined_are_as_one():
    joined = Joined((ANA, BO))

    assert joined == {"ana", "bo"}
    assert joined != {"ana"}
    assert (len(joined), "bo" in joined, "cy" in joined) == (2, True, False)
    assert (joined.isdisjoint(CY), joined.isdisjoint(BO | CY)) == (True, False)
    assert joined | CY == {"ana", "bo", "cy"}
    assert joined <= {"ana", "bo", "cy"}
