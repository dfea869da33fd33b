import subprocess
import sys

HEAVY = ["asyncio", "difflib", "gateway.manifests", "http.client", "ssl", "subprocess", "yaml"]


def test_help_needs_nothing_heavy():
    """`--help` and completion answer at once, however many commands there are."""
    code = f"import gateway.cli, sys; print([name for name in {HEAVY} if name in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"
