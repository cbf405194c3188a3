"""The processes below one that a test started."""

from contextlib import suppress
from pathlib import Path

import psutil


def descendants(pid: int) -> list[int]:
    """Return the pids below ``pid``, without zombies: those hold nothing any more."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child.pid)
    return found


def holds_connection_from(pid: int, client_port: int) -> bool:
    """Tell whether a process below ``pid`` has a TCP connection open whose client has ``client_port``."""
    for each in descendants(pid):
        with suppress(psutil.NoSuchProcess):
            connections = psutil.Process(each).net_connections("tcp")
            # The remote address of a listening socket is empty.
            if any(client_port in held.raddr for held in connections):
                return True
    return False


def pss_mib(pid: int) -> float:
    """Return the memory of a process and those below it; what they share counts once, as for a container."""
    return sum(_pss_kib(each) for each in [pid, *descendants(pid)]) / 1024


def _pss_kib(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended meanwhile
    [line] = [each for each in rollup.splitlines() if each.startswith("Pss:")]
    return int(line.split()[1])
