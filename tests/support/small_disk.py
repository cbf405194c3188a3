"""A file system that a few megabytes fill; only root can mount one."""

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

only_root: Final = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can mount a small file system to fill"
)
_BLOCK: Final = bytes(4096)


@contextmanager
def small_file_system(mount_point: Path, size: str) -> Iterator[None]:
    """Mount a file system in memory, of ``size`` as ``mount`` takes it."""
    mount_point.mkdir(parents=True, exist_ok=True)
    subprocess.run(  # noqa: S603 - a fixed command
        ["/bin/mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", mount_point], check=True
    )
    try:
        yield
    finally:
        subprocess.run(["/bin/umount", "--lazy", mount_point], check=True)  # noqa: S603 - as above


def fill(directory: Path) -> Path:
    """Take every byte that is left, and return the file to remove."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            for _ in itertools.count():
                file.write(_BLOCK)
        except OSError:
            return ballast
    raise AssertionError("a disk without end")
