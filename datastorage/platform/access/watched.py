"""The files of access control: YAML, judged by a schema."""

from pathlib import Path
from typing import Any, Final, TypeVar

from marshmallow import Schema, ValidationError

from datastorage.platform.watched import BadFileError, Watched
from datastorage.settings.documents import read_mapping

T = TypeVar("T")

MAX_FILE_BYTES: Final = 1024 * 1024


class WatchedFile(Watched[T]):
    """The content of a file, the last good one.

    Args:
        path: the file.
        schema: judges the content and makes the value.

    Raises:
        BadFileError: the file cannot be used at the start.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        super().__init__("Access policy", lambda: [path], lambda: _read(path, schema))


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
