"""Passwords and user names out of secret files. Problems name key and file, never what was found there."""

from collections.abc import Mapping
from pathlib import Path

from datastorage.settings.documents import read_mapping
from datastorage.settings.keys import Key
from datastorage.settings.sources import Findings, Given, Source

_TARGETS = {
    "database.username_key": "database.user",
    "database.password_key": "database.password",
    "redis.username_key": "redis.username",
    "redis.password_key": "redis.password",
    "redis.sentinel.password_key": "redis.sentinel.password",
}
"""The settings that name a key of the group's secret file, and what its value becomes."""


def secret_values(
    group: str, keys: Mapping[str, Key], given: Source, findings: Findings, *, is_optional: bool
) -> Source:
    """Read the passwords that are not given, and the user name beside them.

    A group whose password ``is_optional`` can do without secret file, too.
    """
    file = f"{group}.secrets_file"
    wanted = _wanted(group, given, needs_main=file in given or not is_optional)
    if not wanted:
        return {}
    if missing := [path for path in (file, *wanted) if path not in given]:
        findings.secrets.extend(f"{_label(keys[path])} required" for path in missing)
        findings.is_incomplete = True
        return {}
    named = [path for path in (*wanted, f"{group}.username_key") if path in given]
    names = {path: str(given[path].value) for path in named}
    return _read(Path(str(given[file].value)), names, keys, findings)


def _wanted(group: str, given: Source, *, needs_main: bool) -> list[str]:
    """Return the keys of the passwords that have to come from the secret file."""
    passwords = [path for path in _TARGETS if path.startswith(f"{group}.") and path.endswith("password_key")]
    named = {*given, f"{group}.password_key"} if needs_main else {*given}
    return [path for path in passwords if path in named and _TARGETS[path] not in given]


def _read(file: Path, names: Mapping[str, str], keys: Mapping[str, Key], findings: Findings) -> Source:
    group = next(iter(names)).partition(".")[0]
    try:
        secrets = read_mapping(file)
    except OSError as error:
        findings.secrets.append(f"{group} secretsFile {file} cannot be read: {error.strerror}")
        return {}
    except ValueError as error:
        findings.secrets.append(f"{group} secretsFile {file} {error}")
        return {}
    found: dict[str, Given] = {}
    for path, name in names.items():
        label, value = _label(keys[path]), secrets.get(name)
        if isinstance(value, str):
            found[_TARGETS[path]] = Given(value)
        elif name in secrets:
            problem = f"the value of {name} in {file} must be a string (put it in quotes)"
            findings.secrets.append(f"{label}: {problem}")
        elif path.endswith("password_key"):
            findings.secrets.append(f"{label}: {file} has no key {name}")
    return found


def _label(key: Key) -> str:
    return key.name.replace(".", " ", 1)  # database passwordKey
