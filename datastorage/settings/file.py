"""The configuration file: YAML, grouped, tolerant of what it does not know."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from datastorage.settings.errors import SettingsError
from datastorage.settings.findings import Findings, Given
from datastorage.settings.keys import snake_case
from datastorage.settings.table import GROUPS, KEYS, closest

_SLOTS = {key.path: key.slot for key in KEYS}
_SECTIONS = {path.rpartition(".")[0] for path in _SLOTS}
_SUGGESTIONS = (*GROUPS, *(key.name for key in KEYS))
_PASSWORDS = frozenset({"database.password", "redis.password"})
_STREAM_NAME = "redis.dlq_stream_name"
_FIXED_STREAMS = frozenset(
    {
        "audit:dlq:events",
        "audit:dlq:notifications",
        "audit:dead-letter:events",
        "audit:dead-letter:notifications",
    }
)


def read_config_file(path: Path) -> Mapping[str, Any]:
    """Return the top level of the file.

    Raises:
        SettingsError: the file cannot be read, or is no YAML mapping.
    """
    failed = "Failed to load configuration file"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(failed, [f"failed to read config file {path}: {error.strerror}"]) from error
    except (yaml.YAMLError, ValueError) as error:
        # Without `from`: YAML's own text quotes the line, and somebody may have put a password there.
        raise SettingsError(failed, [f"failed to parse config {path}: not YAML{position(error)}"]) from None
    if not isinstance(content, Mapping):
        raise SettingsError(failed, [f"failed to parse config {path}: the top level must be a mapping"])
    return content


def position(error: Exception) -> str:
    """Say where YAML gave up, without what stands there."""
    mark = getattr(error, "problem_mark", None)
    return f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""


def file_values(content: Mapping[str, Any], findings: Findings) -> dict[str, Given]:
    """File the raw values of a configuration file by slot; an empty key counts as absent."""
    given: dict[str, Given] = {}
    for path, value in _leaves(content, "", findings):
        if _SLOTS[path] in given:
            findings.invalid.append(f"{path} is set twice, in two spellings")
        given[_SLOTS[path]] = Given(value)
    return given


def _leaves(section: Mapping[str, Any], prefix: str, findings: Findings) -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        path = snake_case(f"{prefix}{name}")
        if path in _SECTIONS and isinstance(value, Mapping):
            yield from _leaves(value, f"{path}.", findings)
        elif path in _SECTIONS:
            _note_section(path, value, findings)
        elif path not in _SLOTS:
            findings.warnings.extend(_ignored(f"{prefix}{name}", path, value))
        elif value not in (None, ""):
            yield path, value


def _note_section(path: str, value: object, findings: Findings) -> None:
    if value is not None:
        findings.invalid.append(f"{path} must be a mapping")


def _ignored(written: str, path: str, value: object) -> Iterator[str]:
    if path in _PASSWORDS:
        yield f"{path} in the configuration file is ignored: passwords belong in the secretsFile"
    elif path == _STREAM_NAME:
        if str(value) not in _FIXED_STREAMS:
            yield f"{_STREAM_NAME} is ignored: the names of the streams are fixed"
    else:
        yield f"unknown key {written} is ignored (the closest known key is {closest(path, _SUGGESTIONS)})"
