"""The processes below one that a test started."""

from contextlib import suppress

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
