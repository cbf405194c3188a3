"""What glibc's allocator keeps: memory of a large body goes back to the system when the body is done.

Left alone, glibc opens up to eight heaps per processor, one for each thread that waits for another, and keeps
in each what was freed below a block that is still in use; and the first large block that is freed teaches it
to take blocks of that size from these heaps too. Twenty bodies of 9 MB then leave a gigabyte behind.
"""

import ctypes
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
"""The numbers of ``mallopt(3)``."""

LARGE_BLOCK_BYTES: Final = 2 * 1024 * 1024
HEAPS: Final = 2


def bound_heaps() -> bool:
    """Bound what this process and those it forks keep; return whether the C library can.

    Blocks of ``LARGE_BLOCK_BYTES`` are mapped one by one, whatever was freed before, and a heap gives back
    what is free at its end. To be called before the first thread: a heap that exists stays.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, and returns memory by itself
    if mallopt is None:
        return False
    bounds = {_ARENA_MAX: HEAPS, _MMAP_THRESHOLD: LARGE_BLOCK_BYTES, _TRIM_THRESHOLD: LARGE_BLOCK_BYTES}
    done = [mallopt(option, value) for option, value in bounds.items()]
    return all(done)
