"""The mapped files of the Prometheus client, through which a scrape of any worker shows the numbers of all.

Three promises that the client does not make. A file has room on the disk before it is mapped: a sparse one
would end the process with SIGBUS at the first write to a page for which there is none. Numbers without room
stay in the memory of their process. And files of ended processes become one per kind, so that crashes do not
fill the directory.
"""

import fcntl
import logging
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Final

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

from datastorage.settings import environment

logger = logging.getLogger(__name__)

DIRECTORY_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_ENDED: Final = "ended"
"""Stands in a file's name where others have the process id."""
_OVERHEAD_BYTES: Final = 28
"""Of an entry beside its key, at most: length, padding, value, time."""

_Number = tuple[float, float]
"""Value and the time it was set, as Unix time; 0 for what is added up."""


@dataclass
class Unshared:
    """The series of this process that are in no file."""

    series: int = 0
    reason: str | None = None
    is_reported: bool = False

    def count(self, error: OSError) -> None:
        """Count one more, for which there was no room."""
        self.series += 1
        self.reason = error.strerror

    def forget(self, series: int) -> None:
        """Take back what was counted before a fork: the new process tries with files of its own."""
        self.series -= series
        self.is_reported = self.series > 0 and self.is_reported

    def report(self) -> None:
        """Warn of them once. Not while counting: the client holds a lock, and logging counts."""
        if self.series and not self.is_reported:
            self.is_reported = True
            extra = {"series": self.series, "reason": self.reason}
            logger.warning(
                "Metrics directory full, numbers of this process are missing in scrapes", extra=extra
            )


UNSHARED: Final = Unshared()


class Numbers(MmapedDict):
    """The numbers of one kind in one process. Not thread-safe: the client holds its lock."""

    def __init__(self, filename: str) -> None:
        self._positions: dict[str, int] = {}
        self._unshared: dict[str, _Number] = {}
        self._refusal: OSError | None = None
        try:
            _create(Path(filename))
            super().__init__(filename)
        except OSError as error:
            self._refusal = error

    def read_value(self, key: str) -> _Number:
        """Return value and time of ``key``, 0 if it is new."""
        if not self._takes(key):
            return self._unshared[key]
        number: _Number = super().read_value(key)
        return number

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Set value and time of ``key``."""
        if self._takes(key):
            super().write_value(key, value, timestamp)
        else:
            self._unshared[key] = value, timestamp

    def _takes(self, key: str) -> bool:
        """Tell whether the file has an entry for ``key``, or takes one now."""
        if key in self._positions:
            return True
        if key in self._unshared:
            return False
        try:
            self._make_room(key)
        except OSError as error:
            self._unshared[key] = 0.0, 0.0
            UNSHARED.count(error)
            return False
        self._init_value(key)
        return True

    def _make_room(self, key: str) -> None:
        if self._refusal is not None:
            raise self._refusal
        size = self._capacity
        while self._used + len(key.encode()) + _OVERHEAD_BYTES > size:
            size *= 2
        if size > self._capacity:
            os.posix_fallocate(self._f.fileno(), 0, size)  # the client then truncates to what is there

    def add(self, key: str, number: _Number, combine: Callable[[_Number, _Number], _Number]) -> None:
        """Combine the number of an ended process with what those before it left."""
        is_known = key in self._positions or key in self._unshared
        self.write_value(key, *(combine(self.read_value(key), number) if is_known else number))

    def close(self) -> None:
        """Release the file; after a fork the client does, and opens those of the new process."""
        UNSHARED.forget(len(self._unshared))
        if self._refusal is None:
            super().close()


def _create(path: Path) -> None:
    """Make a file of one page; whoever reads the directory sees it whole or not at all."""
    if path.exists():
        return
    new = path.with_suffix(".new")
    try:
        with new.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, mmap.PAGESIZE)
        new.rename(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise


def use_allocated_files() -> None:
    """Let the client keep its numbers here; it asks for its files by this name and in no other way."""
    vars(values)["MmapedDict"] = Numbers


@contextmanager
def read_together() -> Iterator[None]:
    """Keep the files as they are while all of them are read: folding would count a process twice, or not."""
    with ExitStack() as stack:
        with suppress(OSError, KeyError):  # no directory: nothing to read together
            stack.enter_context(_locked(Path(environment()[DIRECTORY_VARIABLE]), fcntl.LOCK_SH))
        yield


def fold(directory: Path, pid: int) -> bool:
    """Add what an ended process left to what those before it left, and remove its files.

    A scrape shows the same before and after, without the gauges of processes that are alive.

    Returns:
        Whether it is done; not while the directory is read.

    Raises:
        OSError: the directory cannot be changed.
    """
    try:
        with _locked(directory, fcntl.LOCK_EX | fcntl.LOCK_NB):
            for path in directory.glob(f"*_{pid}.db"):
                _fold_file(path, path.name.removesuffix(f"_{pid}.db"))
            for path in directory.glob(f"*_{pid}.new"):
                path.unlink()
    except BlockingIOError:
        return False
    return True


@contextmanager
def _locked(directory: Path, operation: int) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)


def _sum(left: _Number, right: _Number) -> _Number:
    return left[0] + right[0], 0.0


def _latest(left: _Number, right: _Number) -> _Number:
    return max(left, right, key=itemgetter(1))


_COMBINING: Final[dict[str, Callable[[_Number, _Number], _Number]]] = {
    "counter": _sum,
    "histogram": _sum,
    "gauge_max": max,
    "gauge_mostrecent": _latest,
}


def _fold_file(path: Path, kind: str) -> None:
    ended = path.with_name(f"{kind}_{_ENDED}.db")
    if kind not in _COMBINING:
        path.unlink()
    elif not ended.exists():
        path.rename(ended)  # takes no room
    else:
        numbers = Numbers(str(ended))
        for key, value, timestamp, _ in MmapedDict.read_all_values_from_file(path):
            numbers.add(key, (value, timestamp), _COMBINING[kind])
        numbers.close()
        path.unlink()
