"""What the operating system says about this process.

The client's own process collector does not exist in multi-process mode, so each worker measures
itself and the values are summed.
"""

import os
from pathlib import Path

_OWN_PROCESS = Path("/proc/self")


def resident_memory_bytes() -> int | None:
    """Return the resident set size, or ``None`` where there is no ``/proc`` (macOS)."""
    try:
        fields = (_OWN_PROCESS / "statm").read_text(encoding="ascii").split()
    except FileNotFoundError:
        return None
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def open_file_descriptors() -> int | None:
    """Return the number of open file descriptors, or ``None`` where there is no ``/proc``."""
    try:
        # The directory itself is open while it is read.
        return len(os.listdir(_OWN_PROCESS / "fd")) - 1  # noqa: PTH208 - names only, no Path per descriptor
    except FileNotFoundError:
        return None
