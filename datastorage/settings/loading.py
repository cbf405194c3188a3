"""From file, secret files and environment to values that hold together."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from datastorage.settings.checks import REFUSALS, WARNINGS, failures
from datastorage.settings.credentials import SERVERS, resolve
from datastorage.settings.errors import Refused
from datastorage.settings.file import file_values, read_config_file
from datastorage.settings.findings import Findings, Given
from datastorage.settings.keys import Key
from datastorage.settings.table import GROUPS, KEYS
from datastorage.settings.variables import variable_values


@dataclass(frozen=True, slots=True)
class Loaded:
    """Arguments for the dataclass of each group, and what the operator should hear about."""

    groups: Mapping[str, Mapping[str, Any]]
    warnings: tuple[str, ...]


def load_groups(config_path: Path | None, environ: Mapping[str, str], wanted: Collection[str]) -> Loaded:
    """Read the groups in ``wanted``; the rest of the file may be wrong or missing.

    Raises:
        SettingsError: with every problem of these groups.
    """
    findings = Findings()
    path = config_path or environ.get("CONFIG_PATH")
    content = read_config_file(Path(path)) if path else None
    given = file_values(content or {}, findings) | variable_values(environ, findings)
    servers = tuple(server for server in SERVERS if server.group in wanted)
    values: dict[str, Any] = {}
    for server in servers:
        values |= resolve(server, environ, given, findings)
    keys = tuple(key for key in KEYS if key.group in wanted)
    values |= _parse_all(keys, given, findings, has_file=content is not None)
    findings.invalid.extend(failures(REFUSALS, values))
    findings.warnings.extend(failures(WARNINGS, values))
    alternative = " and ".join(server.url_variable for server in servers)
    hint = f"name a file with CONFIG_PATH or --config, or set {alternative}"
    findings.raise_if_any(has_file=content is not None, hint=hint)
    return Loaded({group: _arguments(group, values) for group in wanted}, tuple(findings.warnings))


def _parse_all(
    keys: tuple[Key, ...], given: Mapping[str, Given], findings: Findings, *, has_file: bool
) -> dict[str, Any]:
    """Parse what is given and leave out what is refused; the fields know their own defaults."""
    values: dict[str, Any] = {}
    for key in keys:
        raw = given.get(key.slot)
        if raw is None and (missing := key.missing(has_file=has_file)):
            findings.missing.append(missing)
            continue
        try:
            values[key.slot] = key.initial if raw is None else _parse(key, raw, findings)
        except Refused as refused:
            findings.invalid.append(f"{key.problem(refused)}{raw.source if raw else ''}")
    return values


def _parse(key: Key, raw: Given, findings: Findings) -> object:
    value = key.parse(raw.value)
    if key.names.get("default_if", _never)(value):
        findings.warnings.append(f"{key.name} is {value}: the default {key.default} is used{raw.source}")
        return key.initial
    return value


def _never(_: object) -> bool:
    return False


def _arguments(group: str, values: Mapping[str, Any]) -> dict[str, Any]:
    names = (each.name for each in fields(GROUPS[group]))
    return {name: values[f"{group}.{name}"] for name in names if f"{group}.{name}" in values}
