"""Traces that begin elsewhere, or here. Source of the cases: https://www.w3.org/TR/trace-context/, section 3.2.2."""

import pytest

from gateway.wire.trace_context import Sampling, TraceContext, context_of, span_id, traceparent, traceparent_of

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GIVEN = f"00-{TRACE}-{PARENT}-01"
ID = "019f0000000040008000000000000010"


@pytest.mark.parametrize(
    ("header", "read"),
    [
        (GIVEN, GIVEN),
        (f" {GIVEN}\t", GIVEN),
        (f"00-{TRACE}-{PARENT}-00", f"00-{TRACE}-{PARENT}-00"),
        (f"cc-{TRACE}-{PARENT}-01-what the future brings", f"cc-{TRACE}-{PARENT}-01"),
        (f"{GIVEN}-more", None),
        (f"cc-{TRACE}-{PARENT}-01.more", None),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (GIVEN.upper(), None),
        (f"00-{TRACE}-{PARENT}", None),
        (f"00-{TRACE[1:]}-{PARENT}-01", None),
        ("", None),
        ("é" * 55, None),
        ("0" * 100_000, None),
    ],
)
def test_what_a_caller_says(header, read):
    assert traceparent_of(header.encode()) == read


def test_a_request_takes_part_in_the_trace_of_its_caller():
    assert context_of(GIVEN, ID) == TraceContext(int(TRACE, 16), int(PARENT, 16), is_sampled=True)
    assert context_of(f"00-{TRACE}-{PARENT}-00", ID).is_sampled is False


def test_a_request_without_one_begins_its_own():
    """Its id is that of its trace, so that it is found by either."""
    assert context_of(None, ID) == TraceContext(int(ID, 16))


def test_spans_have_ids_that_are_known_beforehand():
    assert [f"{span_id(ID, number):016x}" for number in (0, 1)] == ["8000000000000010", "8000000000000011"]
    assert span_id(ID[:16] + "f" * 16, 1) == 1  # 0 is no id
    assert traceparent(context_of(GIVEN, ID), span_id(ID, 1), is_sampled=True) == f"00-{TRACE}-8000000000000011-01"


@pytest.mark.parametrize(
    ("sampling", "context", "keeps"),
    [
        (Sampling(), TraceContext(1), True),
        (Sampling(0.0), TraceContext(0), False),
        (Sampling(0.5), TraceContext((1 << 63) - 1), True),
        (Sampling(0.5), TraceContext(1 << 63), False),
        (Sampling(0.0), TraceContext(1, 2, is_sampled=True), True),
        (Sampling(1.0), TraceContext(1, 2, is_sampled=False), False),
        (Sampling(1.0, joins=False), TraceContext(1, 2, is_sampled=False), True),
        (Sampling(0.0, joins=False), TraceContext(1, 2, is_sampled=True), False),
    ],
)
def test_which_traces_are_kept(sampling, context, keeps):
    assert sampling.keeps(context) is keeps
