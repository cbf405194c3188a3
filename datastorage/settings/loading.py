"""From file, secret files and environment to values that hold together."""

from collections import ChainMap
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from marshmallow import ValidationError

from datastorage.settings.checks import refusals, warnings
from datastorage.settings.errors import SettingsError
from datastorage.settings.keys import NO_FILE, Key
from datastorage.settings.secrets import secret_values
from datastorage.settings.sources import (
    URLS,
    Findings,
    Given,
    Source,
    file_values,
    url_values,
    variable_values,
)


def load_values(
    keys: Sequence[Key], groups: Collection[str], config_path: Path | None, environ: Mapping[str, str]
) -> tuple[dict[str, Any], Sequence[str]]:
    """Return values by path for ``groups``, and warnings; the rest of the file may be wrong or missing.

    Raises:
        SettingsError: with every problem of these groups.
    """
    findings = Findings()
    path = config_path or environ.get("CONFIG_PATH")
    file = file_values(keys, Path(path), findings) if path else {}
    variables = variable_values(keys, environ, findings)
    urls = {group: url_values(group, environ, findings) for group in URLS if group in groups}
    table = {key.path: key for key in keys if key.path.partition(".")[0] in groups}
    given = _with_secrets(table, urls, ChainMap(*urls.values(), variables, file), findings)
    values = dict(_parsed(table, given, findings, lifted={*given, *(() if path else [NO_FILE])}))
    findings.invalid.extend(refusals(table, values))
    if values.get("security.strict"):
        findings.invalid.extend(_passwords_in(table, *urls.values(), variables))
    findings.warnings.extend(warnings(values))
    _raise_if_any(findings, urls, has_file=bool(path))
    return values, findings.warnings


def _with_secrets(
    table: Mapping[str, Key], urls: Mapping[str, Source], given: ChainMap[str, Given], findings: Findings
) -> ChainMap[str, Given]:
    """Add what the secret files hold, in front of the configuration file."""
    secrets: dict[str, Given] = {}
    *others, file = given.maps
    given = ChainMap(*others, secrets, file)
    for group, url in urls.items():
        is_optional = bool(url) or f"{group}.ssl_cert" in given
        secrets |= secret_values(group, table, given, findings, is_optional=is_optional)
    return given


def _parsed(
    table: Mapping[str, Key], given: Source, findings: Findings, *, lifted: Collection[str]
) -> Iterator[tuple[str, Any]]:
    """Yield what is given or has a default, and leave out what is refused."""
    for path, key in table.items():
        if path not in given:
            if key.required_unless is None or key.required_unless in lifted:
                yield path, key.initial
            else:
                findings.is_incomplete = True
                findings.invalid.append(f"{key.label} required")
            continue
        raw = given[path]
        try:
            value = key.kind.deserialize(raw.value)
        except ValidationError as error:
            findings.invalid.extend(
                f"{key.problem(reason)}{raw.origin}" for reason in _reasons(error.messages)
            )
            continue
        if key.positive_or_default and value <= 0:
            findings.warnings.append(f"{key.name} is {value}: the default {key.default} is used{raw.origin}")
            value = key.initial
        yield path, value


def _reasons(messages: Any) -> Iterator[str]:
    """Yield the texts of an error, those about the items of a list too."""
    for each in messages.values() if isinstance(messages, dict) else messages:
        yield from [each] if isinstance(each, str) else _reasons(each)


def _passwords_in(table: Mapping[str, Key], *sources: Source) -> Iterator[str]:
    for source in sources:
        for path, given in source.items():
            if path in table and table[path].is_secret and given.value:
                yield f"security.strict refuses a password in {given.variable}"


def _raise_if_any(findings: Findings, servers: Collection[str], *, has_file: bool) -> None:
    problems = (*findings.secrets, *findings.invalid)
    if findings.is_incomplete and not has_file:
        alternative = " and ".join(URLS[group][0] for group in servers)
        hint = f"name a file with CONFIG_PATH or --config, or set {alternative}"
        raise SettingsError("CONFIG_PATH environment variable required", (hint, *problems))
    titles = {"Failed to load secrets": findings.secrets, "Invalid configuration": findings.invalid}
    if problems:
        raise SettingsError("; ".join(title for title, found in titles.items() if found), problems)
