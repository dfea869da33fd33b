"""What Linux tells about a process in /proc, and which core a process may use."""

import os
from collections.abc import Iterator
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def tree(pid: int) -> Iterator[int]:
    """The process and all that descend from it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from tree(int(child))


def cpu_s(pid: int) -> float:
    """Seconds of CPU a process has used, in user and kernel mode, with all its threads and children. Steps of 10 ms."""
    ticks = 0
    for member in tree(pid):
        # The name, in parentheses, may contain anything. utime and stime are fields 14 and 15.
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_S


def worked_s(cores: set[int]) -> float:
    """Seconds these cores have worked for any process, or were taken by the hypervisor."""
    ticks = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name in {f"cpu{core}" for core in cores}:
            # user, nice, system and steal; interrupts are left out, because they are nobody's.
            ticks += sum(int(fields[field]) for field in (0, 1, 2, 7))
    return ticks / _TICKS_PER_S


def memory_kib(pid: int) -> tuple[float, float]:
    """Resident and proportional size of a process and its children; twice the resident one if there is no smaps."""
    rss = pss = 0.0
    for member in tree(pid):
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:
            resident = int(Path(f"/proc/{member}/statm").read_text().split()[1]) * _PAGE_BYTES / 1024
            rss, pss = rss + resident, pss + resident
        else:
            sizes = {line.split()[0]: float(line.split()[1]) for line in lines}
            rss, pss = rss + sizes["Rss:"], pss + sizes["Pss:"]
    return rss, pss


def split_cores() -> tuple[set[int], set[int]]:
    """One core for what is measured, the others for all else. They are the same if there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return {cores[-1]}, set(cores[:-1] or cores)
