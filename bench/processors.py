"""How much processor time a server has used, with every process it started."""

import os
import re
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


def of_tree(pid: int) -> float:
    """Return seconds of processor time of a process and its descendants, those that ended included."""
    return sum(sum(_times(each)) for each in _tree(pid)) / _TICKS_PER_SECOND


def resident_bytes(pid: int) -> dict[int, int]:
    """Return the resident memory of each process of a tree."""
    return {each: int(_read(each, "statm").split()[1]) * _PAGE_BYTES for each in _tree(pid)}


def forget_peaks(pid: int) -> None:
    """Let the peak of each process of a tree begin at what it uses now."""
    for each in _tree(pid):
        Path(f"/proc/{each}/clear_refs").write_text("5", encoding="ascii")


def peak_bytes(pid: int) -> dict[int, int]:
    """Return the highest resident memory of each process of a tree since ``forget_peaks``."""
    return {each: int(_PEAK.findall(_read(each, "status"))[0]) * 1024 for each in _tree(pid)}


def _tree(pid: int) -> list[int]:
    children = _read(pid, f"task/{pid}/children").split()
    return [pid, *(each for child in children for each in _tree(int(child)))]


def _times(pid: int) -> list[int]:
    """Return user and system time, and the same of children that were waited for."""
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return [int(each) for each in fields[11:15]]


def _read(pid: int, name: str) -> str:
    try:
        return Path("/proc", str(pid), name).read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        # It ended meanwhile; its time is its parent's now.
        return ") " + "0 " * 20 if name == "stat" else "0 0" if name == "statm" else ""
