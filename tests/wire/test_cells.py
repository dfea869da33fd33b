"""What callers write must not run on the machine of whoever reads it."""

import pytest

from gateway.wire.cells import safe_cell


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20x", "'x"]
)
def test_a_cell_begins_no_formula(text):
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "x", "1", " =1", '{"a":"=1"}', "a=b"])
def test_other_cells_stay_as_they_are(text):
    assert safe_cell(text) == text
