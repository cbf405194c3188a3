"""Where raw values come from: configuration file, secret files, environment.

A source is a mapping from the path of a key to what was given. An empty value counts as absent, since
manifests and compose files often pass one through; an empty password does not.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from marshmallow import ValidationError

from datastorage.settings.documents import read_mapping
from datastorage.settings.edits import within_two_edits
from datastorage.settings.errors import SettingsError
from datastorage.settings.keys import Key, snake_case
from datastorage.settings.urls import Parts, parse_database_url, parse_redis_url

URLS: Final[Mapping[str, tuple[str, Callable[[str], Parts]]]] = {
    "database": ("DATASTORAGE_DATABASE_URL", parse_database_url),
    "redis": ("DATASTORAGE_REDIS_URL", parse_redis_url),
}
"""The groups that a URL may stand for."""

_STREAM_NAME = "redis.dlq_stream_name"  # of old files; the names are fixed
_STREAMS = "audit:dlq:events audit:dlq:notifications audit:dead-letter:events audit:dead-letter:notifications"
# Kubernetes gives every pod the addresses of the Services of its namespace. One named `datastorage`
# must not keep ours from starting.
_NOT_OURS = re.compile(
    r"DATASTORAGE_((TEST|DEV)_.*|SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)?)"
)


@dataclass(frozen=True, slots=True)
class Given:
    """A raw value and the environment variable it came from; a value of a file has none."""

    value: Any = field(repr=False)
    variable: str = ""

    @property
    def origin(self) -> str:
        """What to add to a problem so that it is looked for in the right place."""
        return f" (from {self.variable})" if self.variable else ""


Source = MutableMapping[str, Given]


@dataclass(slots=True)
class Findings:
    """What loading has found so far, so that everything is reported at once.

    Attributes:
        secrets: a secret is required and missing, or configured and cannot be read.
        invalid: values that are missing or refused, and misspelt variables.
        is_incomplete: a required setting or secret is missing.
    """

    warnings: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    is_incomplete: bool = False


def environment() -> Mapping[str, str]:
    """Return the environment of this process, for callers that pass it to ``Settings.load``."""
    return os.environ  # noqa: TID251 - the one place that reads it


def forget_libpq_variables() -> None:
    """Remove the variables from which libpq would take what our settings do not say."""
    for name in _libpq_variables(environment()):
        del os.environ[name]  # noqa: TID251 - the one place that changes it


def _libpq_variables(environ: Mapping[str, str]) -> list[str]:
    return sorted(name for name in environ if name.startswith("PG"))


def variable_values(keys: Sequence[Key], environ: Mapping[str, str], findings: Findings) -> Source:
    """Read the variables, where the long name of a key wins over the short one."""
    findings.invalid.extend(_misspelt_variables(keys, environ))
    if ignored := _libpq_variables(environ):
        findings.warnings.append(f"environment variables of libpq are ignored: {', '.join(ignored)}")
    return {
        key.path: Given(environ[variable], variable)
        for key in keys
        for variable in key.variables
        if environ.get(variable) or (key.is_secret and variable in environ)
    }


def _misspelt_variables(keys: Sequence[Key], environ: Mapping[str, str]) -> Iterator[str]:
    for name, near in _unknown_variables(keys, environ):
        if near:
            yield f"unknown environment variable {name} (the closest known one is {_closest(name, near)})"


def unrelated_variables(keys: Sequence[Key], environ: Mapping[str, str]) -> list[str]:
    """Return the names that begin as ours do and are close to none of them: clients have such variables."""
    return [name for name, near in _unknown_variables(keys, environ) if not near]


def _unknown_variables(keys: Sequence[Key], environ: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each unknown name, and the known ones that it may be a misspelling of."""
    known = [key.variables[-1] for key in keys if not key.is_secret] + [name for name, _ in URLS.values()]
    for name in sorted(environ):
        if name.startswith("DATASTORAGE_") and name not in known and not _NOT_OURS.fullmatch(name):
            yield name, [each for each in known if within_two_edits(name.upper(), each)]


def _closest(name: str, known: Sequence[str]) -> str:
    return get_close_matches(name, known, n=1, cutoff=0.0)[0]


def url_values(group: str, environ: Mapping[str, str], findings: Findings) -> Source:
    """Read the URL that stands for a group."""
    variable, parse = URLS[group]
    try:
        values, ignored = parse(environ[variable]) if environ.get(variable) else ({}, [])
    except ValidationError as error:
        findings.invalid.append(f"{variable} {error}")
        return {}
    findings.warnings.extend(f"parameter {name} of {variable} is ignored" for name in ignored)
    return {path: Given(value, variable) for path, value in values.items() if value is not None}


def file_values(keys: Sequence[Key], path: Path, findings: Findings) -> Source:
    """Read the configuration file; what it does not know is ignored with a warning.

    Raises:
        SettingsError: the file cannot be read, or is no YAML mapping.
    """
    failed = "Failed to load configuration file"
    try:
        content = read_mapping(path)
    except OSError as error:
        raise SettingsError(failed, [f"failed to read config file {path}: {error.strerror}"]) from error
    except ValueError as error:
        raise SettingsError(failed, [f"failed to parse config: {path} {error}"]) from None
    names = {key.path: key.name for key in keys if not key.is_secret}
    given: dict[str, Given] = {}
    for key_path, value in _leaves(content, "", names, findings):
        if key_path in given:
            findings.invalid.append(f"{key_path} is set twice, in two spellings")
        given[key_path] = Given(value)
    return given


def _leaves(
    section: Mapping[str, Any], prefix: str, names: Mapping[str, str], findings: Findings
) -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        path = snake_case(f"{prefix}{name}")
        if any(known.startswith(f"{path}.") for known in names):
            if isinstance(value, Mapping):
                yield from _leaves(value, f"{path}.", names, findings)
            elif value is not None:
                findings.invalid.append(f"{path} must be a mapping")
        elif path not in names:
            findings.warnings.extend(_ignored(f"{prefix}{name}", path, value, names))
        elif value not in (None, ""):
            yield path, value


def _ignored(written: str, path: str, value: object, names: Mapping[str, str]) -> Iterator[str]:
    if path.rpartition(".")[2] == "password":
        yield f"{path} in the configuration file is ignored: passwords belong in the secretsFile"
    elif path == _STREAM_NAME:
        if str(value) not in _STREAMS.split():
            yield f"{_STREAM_NAME} is ignored: the names of the streams are fixed"
    else:
        closest = _closest(path, [*{name.partition(".")[0] for name in names}, *names.values()])
        yield f"unknown key {written} is ignored (the closest known key is {closest})"
