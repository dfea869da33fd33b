"""Parsers of strangers' bytes, for a few hundred inputs; `benchmarks/fuzz.py` takes as long as one likes."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from random import Random

import pytest

INPUTS = 300


@pytest.fixture(scope="module")
def fuzz():
    spec = spec_from_file_location("benchmark_fuzz", Path(__file__).parent.parent / "benchmarks" / "fuzz.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["splitter", "events", "frames", "form"])
def test_nothing_crashes_and_cuts_make_no_difference(fuzz, name):
    assert {*fuzz.SUBJECTS} == {"splitter", "events", "frames", "form"}

    found = fuzz.fuzz(name, Random(7), goes_on=lambda count: count < INPUTS)

    assert (found.inputs, found.crashes) == (INPUTS, [])


def test_what_is_wrong_is_found(fuzz):
    """An error that is not the parser's own, and a result that depends on the pieces."""

    def crashes(pieces):
        return {}["x"]

    def counts(pieces):
        return len(pieces)

    fuzz.SUBJECTS |= {"crashes": fuzz.Subject(crashes, [b"a"], [b"b"]), "counts": fuzz.Subject(counts, [b"a"], [b"b"])}

    assert "KeyError: 'x'" in fuzz.tried("crashes", [b"a", b"b"])
    assert fuzz.tried("counts", [b"a", b"b"]) == "counts depends on where it is cut: [b'a', b'b']"
    assert fuzz.tried("counts", [b"ab"]) is None
