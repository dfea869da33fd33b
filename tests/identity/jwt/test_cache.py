from gateway.identity.jwt import Identity
from gateway.identity.jwt.cache import Known, Refused

ANA = Identity("okta", "user", "ana@example.com", frozenset(), 100.0)


def test_knows_until_the_moment_given():
    known = Known(max_entries=2)
    known.add(b"1", ANA, until_s=100.0)

    assert known.find(b"1", 99.9) is ANA
    assert known.find(b"1", 100.0) is None
    assert len(known) == 0


def test_the_one_not_used_for_longest_makes_room():
    known = Known(max_entries=2)
    known.add(b"1", ANA, until_s=100.0)
    known.add(b"2", ANA, until_s=100.0)
    known.find(b"1", 0.0)
    known.add(b"3", ANA, until_s=100.0)

    assert [known.find(digest, 0.0) for digest in (b"1", b"2", b"3")] == [ANA, None, ANA]
    assert len(known) == 2


def test_refuses_for_a_while():
    refused = Refused(max_entries=2, ttl_s=10.0)
    refused.add(b"1", 50.0)

    assert [refused.holds(b"1", now_s) for now_s in (50.0, 59.9, 60.0)] == [True, True, False]
    assert not refused.holds(b"2", 50.0)


def test_the_oldest_refusal_makes_room():
    refused = Refused(max_entries=2, ttl_s=10.0)
    for number, digest in enumerate([b"1", b"2", b"1", b"3"]):
        refused.add(digest, float(number))

    assert [refused.holds(digest, 3.0) for digest in (b"1", b"2", b"3")] == [True, False, True]
    assert len(refused) == 2
