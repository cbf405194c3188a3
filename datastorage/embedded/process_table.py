"""Which processes run on this machine, who started them and what they are called."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """One line of the process table; ``name`` is the file name of the executable."""

    pid: int
    parent: int
    name: str


def running_processes() -> dict[int, RunningProcess]:
    """Return every process by pid, without zombies: those hold nothing any more."""
    found = _from_proc() if sys.platform == "linux" else _from_ps()
    return {process.pid: process for process in found}


def descendants(pid: int) -> list[int]:
    """Return the pids below ``pid``, parents before children."""
    table = running_processes().values()
    generation, found = {pid}, list[int]()
    while generation:
        generation = {process.pid for process in table if process.parent in generation}
        found.extend(sorted(generation))
    return found


def _from_proc() -> Iterator[RunningProcess]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text(errors="replace")
        except OSError:
            continue  # ended while we read, or hidden from us
        # "pid (name) state parent …"; a name may itself contain blanks and parentheses.
        before, _, after = stat.rpartition(")")
        state, parent = after.split()[:2]
        if state != "Z":
            yield RunningProcess(int(entry.name), int(parent), before.partition("(")[2])


def _from_ps() -> Iterator[RunningProcess]:
    listing = subprocess.run(
        ["/bin/ps", "-A", "-o", "pid=,ppid=,state=,comm="], capture_output=True, text=True, check=True
    )
    for line in listing.stdout.splitlines():
        pid, parent, state, command = line.split(maxsplit=3)
        if not state.startswith("Z"):
            yield RunningProcess(int(pid), int(parent), Path(command).name)
