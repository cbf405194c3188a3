"""A disk that can be made slow under a running Redis: each of its flushes is really delayed.

A library of our own stands before the C library's ``fsync`` and ``fdatasync``. That is the fault which an
overloaded disk has: while a flush is under way, Redis with ``appendfsync everysec`` answers before it writes.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from datastorage.embedded.redis import EmbeddedRedis, find_redis_binary

COMPILER: Final = shutil.which("gcc") or shutil.which("cc")
SOURCE: Final = Path(__file__).with_suffix(".c")


class SlowDisk:
    """A Redis program whose flushes take as long as they are told.

    Args:
        directory: for the library, the program and the file that tells it how long.

    Without a C compiler it is the ordinary program, and never slow.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._delay = directory / "delay"
        self._busy = directory / "delay.busy"
        self.program: Path
        """What to start instead of the server; it becomes the server."""
        library = directory / "slow_disk.so"
        binary = find_redis_binary()
        if COMPILER is None:
            self.program = binary
            return
        command = [COMPILER, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE)]
        subprocess.run(command, check=True)  # noqa: S603 - our own source
        self.program = directory / binary.name
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

    def is_in_mid_flush(self, seconds: float) -> bool:
        """Tell whether a flush has been under way for that long: Redis has had time to answer meanwhile."""
        try:
            return time.time() - self._busy.stat().st_mtime >= seconds
        except FileNotFoundError:
            return False


class SlowRedis(EmbeddedRedis):
    """A Redis server on ``disk``."""

    def __init__(self, directory: Path, disk: SlowDisk, **options: Any) -> None:
        super().__init__(directory, **options)
        self._disk = disk

    def _find_binary(self) -> Path:
        return self._disk.program
