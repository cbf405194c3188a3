"""The files of access control: read at the start, looked at again and again, replaced only by good ones."""

import logging
from pathlib import Path
from threading import Lock
from typing import Any, Final, Generic, TypeVar

from marshmallow import Schema, ValidationError

from datastorage.settings.documents import read_mapping

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_FILE_BYTES: Final = 1024 * 1024


class BadFileError(ValueError):
    """A file of access control cannot be used; the text says what to change, and repeats no secret."""


class WatchedFile(Generic[T]):
    """The content of a file, the last good one.

    Args:
        path: the file; a mounted ConfigMap or Secret replaces it by a link.
        schema: judges the content and makes the value.

    Attributes:
        value: what the schema made of the last good content.
        is_valid: whether that is the newest content.

    Raises:
        BadFileError: the file cannot be used at the start.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        self._path = path
        self._schema = schema
        self._lock = Lock()
        self._seen = _state_of(path)
        self.value: T = _read(path, schema)
        self.is_valid = True

    def look(self) -> None:
        """Read the file again if it has changed; a bad one leaves the old content in force."""
        with self._lock:
            seen = _state_of(self._path)
            if seen == self._seen:
                return
            self._seen = seen
            try:
                self.value = _read(self._path, self._schema)
            except BadFileError as error:
                self.is_valid = False
                logger.error("Access policy not reloaded", extra={"error": str(error)})
            else:
                self.is_valid = True
                logger.info("Access policy reloaded", extra={"file": str(self._path)})


def _state_of(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: Path, schema: Schema) -> Any:
    try:
        is_too_large = path.stat().st_size > MAX_FILE_BYTES
        content = {} if is_too_large else schema.load(read_mapping(path))
    except OSError as error:
        raise BadFileError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise BadFileError(f"{path}: {'; '.join(_faults(error.messages))}") from None
    except ValueError as error:
        raise BadFileError(f"{path} {error}") from None
    if is_too_large:
        raise BadFileError(f"{path} must be at most {MAX_FILE_BYTES} bytes")
    return content


def _faults(messages: Any, where: str = "") -> list[str]:
    """Return every fault with its place: ``bindings[0].role: ...``."""
    if isinstance(messages, dict):
        return [
            fault
            for name, inner in messages.items()
            for fault in _faults(inner, f"{where}[{name}]" if isinstance(name, int) else _join(where, name))
        ]
    return [f"{where}: {' '.join(map(str, messages))}"]


def _join(where: str, name: str) -> str:
    if name == "_schema":
        return where or "the file"
    return f"{where}.{name}" if where else name
