"""A disk that can be made slow under a running Redis: each of its flushes is really delayed.

A library of our own stands before the C library's ``fsync`` and ``fdatasync``. That is the fault which an
overloaded disk has: while a flush is under way, Redis with ``appendfsync everysec`` answers before it writes.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from datastorage.embedded.redis import find_redis_binary

COMPILER: Final = shutil.which("gcc") or shutil.which("cc")
SOURCE: Final = Path(__file__).with_suffix(".c")


class SlowDisk:
    """A Redis program whose flushes take as long as they are told.

    Args:
        directory: for the library, the program and the file that tells it how long.
    """

    def __init__(self, directory: Path) -> None:
        assert COMPILER is not None, "a C compiler is needed"
        directory.mkdir(parents=True, exist_ok=True)
        self._delay = directory / "delay"
        self._busy = directory / "delay.busy"
        library = directory / "slow_disk.so"
        command = [COMPILER, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE)]
        subprocess.run(command, check=True)  # noqa: S603 - our own source
        binary = find_redis_binary()
        self.program = directory / binary.name
        """What to start instead of the server; it becomes the server."""
        self.program.write_text(
            f'#!/bin/sh\nexec env SLOW_DISK="{self._delay}" LD_PRELOAD="{library}" "{binary}" "$@"\n',
            encoding="utf-8",
        )
        self.program.chmod(0o700)

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Let every flush take ``seconds`` longer until the block ends."""
        self._delay.write_text(str(round(seconds * 1000)), encoding="ascii")
        try:
            yield
        finally:
            self._delay.unlink()
            self._busy.unlink(missing_ok=True)  # the server may have been killed while it waited

    def is_flushing(self) -> bool:
        """Tell whether a flush is under way."""
        return self._busy.exists()
