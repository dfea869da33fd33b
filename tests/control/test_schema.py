"""The answers that handlers write and commands read."""

import subprocess
import sys

import msgspec
import pytest

from gateway.control.schema import Standing

HEAVY = ["aiohttp", "asyncio", "gateway.contract", "gateway.manifests", "sqlalchemy", "starlette"]
BUDGET = {
    "rule": "each",
    "policy": "tenant-budget-config|each",
    "is_budget": True,
    "mode": "audit",
    "scope": "",
    "unit": "cost_per_month",
    "percentage": 25.0,
    "start": 1767225600,
    "end": 1769904000,
}


def test_commands_import_nothing_heavy_with_it():
    code = f"import gateway.control.schema, sys; print([name for name in {HEAVY} if name in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"


@pytest.mark.parametrize(
    ("limit", "used", "read"),
    [
        (500, 1, (500.0, 1.0)),
        (msgspec.Raw(b"0.000000001"), None, (1e-9, None)),
        (msgspec.Raw(b"10"), msgspec.Raw(b"2.5"), (10.0, 2.5)),
    ],
)
def test_amounts_are_written_exactly_and_read_as_floats(limit, used, read):
    written = msgspec.json.encode(Standing(**BUDGET, limit=limit, used=used))

    standing = msgspec.json.decode(written, type=Standing)

    assert (standing.limit, standing.used) == read
