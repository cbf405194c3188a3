"""Files that change while the service runs: looked at again and again, replaced only by good ones."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


class BadFileError(ValueError):
    """A file cannot be used; the text says what to change, and repeats no secret."""


class Watched(Generic[T]):
    """What files say, in their last good version.

    Args:
        subject: what the log calls them.
        files: returns their paths; a mounted ConfigMap or Secret replaces each by a link.
        read: makes the value of them; raises ``BadFileError``.

    Attributes:
        value: what ``read`` made of the last good files.
        is_valid: whether these are the newest.

    Raises:
        BadFileError: they cannot be used at the start.
    """

    def __init__(self, subject: str, files: Callable[[], Sequence[Path]], read: Callable[[], T]) -> None:
        self._subject = subject
        self._files = files
        self._read = read
        self._lock = Lock()
        self._seen = self._states()
        self.value: T = read()
        self.is_valid = True

    def look(self, *, anyway: bool = False) -> None:
        """Read again what has changed, or ``anyway``; what is bad leaves the old value in force."""
        with self._lock:
            seen = self._states()
            if seen == self._seen and not anyway:
                return
            self._seen = seen
            try:
                self.value = self._read()
            except BadFileError as error:
                self.is_valid = False
                logger.error("%s not reloaded", self._subject, extra={"error": str(error)})
            else:
                self.is_valid = True
                names = ", ".join(map(str, self._files()))
                logger.info("%s reloaded", self._subject, extra={"file": names})

    def _states(self) -> list[tuple[int, ...] | None]:
        return [_state_of(path) for path in self._files()]


def _state_of(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
