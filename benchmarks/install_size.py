"""How long the gateway takes to install, and how large it is: the core alone, and all of requirements.txt.

    python benchmarks/install_size.py               # needs a package index
    python benchmarks/install_size.py --most 20     # more of the largest packages

Each is installed into a fresh environment in a folder of its own, from a copy of this tree, without pip's cache, and
compiled to bytecode as pip does it. Megabytes are those of the files (10^6 bytes), pip not counted. Where the CPU time
is far below the seconds, it was the network, or others who had the processor.
"""

import argparse
import resource
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
LIMITS = {"core": (90.0, 120.0), "everything": (90.0, 260.0)}
"""Name -> the seconds and megabytes that it may take."""
WHAT = {"core": ["."], "everything": ["-r", "requirements.txt"]}
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", "build", "*.egg-info", ".*_cache", ".hypothesis")


class Size(NamedTuple):
    seconds: float
    cpu_s: float
    bytes_of: Counter[str]
    """By what stands at the top of site-packages."""

    @property
    def megabytes(self) -> float:
        return self.bytes_of.total() / 1e6


def installed(what: list[str], folder: Path) -> Size:
    source, venv = folder / "source", folder / "venv"
    shutil.copytree(ROOT, source, ignore=LEFT_OUT)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = str(venv / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--python", python]
    began_s, began_cpu_s = perf_counter(), _cpu_s()
    subprocess.run([*pip, "install", *what], cwd=source, check=True)
    seconds, cpu_s = perf_counter() - began_s, _cpu_s() - began_cpu_s
    (packages,) = venv.glob("lib/python*/site-packages")
    sizes: Counter[str] = Counter()
    for path in packages.rglob("*"):
        if path.is_file() and not path.is_symlink():
            sizes[path.relative_to(packages).parts[0]] += path.stat().st_size
    return Size(seconds, cpu_s, sizes)


def _cpu_s() -> float:
    """Of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=10, help="how many of the largest packages are named")
    options = parser.parse_args()
    is_within = True
    for name, what in WHAT.items():
        with TemporaryDirectory() as folder:
            size = installed(what, Path(folder))
        most_s, most_mb = LIMITS[name]
        is_within = is_within and size.seconds <= most_s and size.megabytes <= most_mb
        print(
            f"{name}: {size.seconds:.0f} s (at most {most_s:.0f}; CPU {size.cpu_s:.0f} s), "
            f"{size.megabytes:.0f} MB (at most {most_mb:.0f})"
        )
        for package, size_bytes in size.bytes_of.most_common(options.most):
            print(f"    {size_bytes / 1e6:6.1f} MB  {package}")
    if not is_within:
        sys.exit("too slow or too large")


if __name__ == "__main__":
    main()
