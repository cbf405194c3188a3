"""Where passwords come from: the URL, then the password variable, then the secret file.

Failures name the key and the file, never what was found there.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from datastorage.settings.errors import Refused
from datastorage.settings.file import position
from datastorage.settings.findings import Findings, Given
from datastorage.settings.urls import Location, parse_database_url, parse_redis_url
from datastorage.settings.variables import DATABASE_PASSWORD, DATABASE_URL, REDIS_PASSWORD, REDIS_URL


@dataclass(frozen=True, slots=True)
class Server:
    """One server that asks for a password, and the variables that may bring it."""

    group: str
    url_variable: str
    password_variable: str
    parse_url: Callable[[str], Location]


SERVERS: Final = (
    Server("database", DATABASE_URL, DATABASE_PASSWORD, parse_database_url),
    Server("redis", REDIS_URL, REDIS_PASSWORD, parse_redis_url),
)


def resolve(
    server: Server, environ: Mapping[str, str], given: dict[str, Given], findings: Findings
) -> dict[str, Any]:
    """Complete ``given`` by what the URL and the secret file say.

    Returns:
        the password under ``<group>.password``, and an ``environment.<variable>`` for each variable
        that holds a password, for the checks of ``security.strict``.
    """
    location = _location(server, environ, findings)
    if location is not None:
        given |= {slot: Given(value, server.url_variable) for slot, value in location.values.items()}
    from_url = location.password if location else None
    from_variable = environ.get(server.password_variable)
    secrets = {
        f"environment.{variable}": True
        for variable, password in ((server.url_variable, from_url), (server.password_variable, from_variable))
        if password
    }
    password = from_url if from_url is not None else from_variable
    if password is None:
        password = _from_file(server, given, findings, is_optional=bool(environ.get(server.url_variable)))
    return secrets | {f"{server.group}.password": password}


def _location(server: Server, environ: Mapping[str, str], findings: Findings) -> Location | None:
    text = environ.get(server.url_variable)
    if not text:
        return None
    try:
        location = server.parse_url(text)
    except Refused as refused:
        findings.invalid.append(f"{server.url_variable} {refused}")
        return None
    findings.warnings.extend(
        f"parameter {name} of {server.url_variable} is ignored" for name in location.ignored
    )
    return location


def _from_file(server: Server, given: dict[str, Given], findings: Findings, *, is_optional: bool) -> str:
    wanted = {"secretsFile": "secrets_file", "passwordKey": "password_key"}
    missing = [name for name, field in wanted.items() if f"{server.group}.{field}" not in given]
    if missing:
        if not is_optional or len(missing) < len(wanted):
            findings.missing_secrets.extend(f"{server.group} {name} required" for name in missing)
        return ""
    try:
        return _read_secrets(server.group, given)
    except Refused as refused:
        findings.secrets.append(str(refused))
        return ""


def _read_secrets(group: str, given: dict[str, Given]) -> str:
    """Return the password, and file the user name where the file has one and the environment none."""
    path = Path(str(given[f"{group}.secrets_file"].value))
    secrets = _read_secret_file(group, path)
    user, name_key = given.get(f"{group}.user"), given.get(f"{group}.username_key")
    if name_key is not None and str(name_key.value) in secrets:
        user_name = _text_of(secrets, f"{group} usernameKey", str(name_key.value), path)
        if user is None or user.variable is None:
            given[f"{group}.user"] = Given(user_name)
    return _text_of(secrets, f"{group} passwordKey", str(given[f"{group}.password_key"].value), path)


def _read_secret_file(group: str, path: Path) -> Mapping[str, object]:
    try:
        content = _parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(f"{group} secretsFile {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:
        # Without `from`: the parser's own text may quote the secret.
        raise Refused(f"{group} secretsFile {path} is neither YAML nor JSON{position(error)}") from None
    if not isinstance(content, Mapping):
        raise Refused(f"{group} secretsFile {path} must be an object")
    return content


def _parse(text: str) -> object:
    """Read JSON, then YAML: JSON indented by tabs is no YAML."""
    try:
        return json.loads(text)
    except ValueError:
        return yaml.safe_load(text)


def _text_of(secrets: Mapping[str, object], setting: str, key: str, path: Path) -> str:
    if key not in secrets:
        raise Refused(f"{setting}: {path} has no key {key}")
    value = secrets[key]
    if not isinstance(value, str):
        raise Refused(f"{setting}: the value of {key} in {path} must be a string (put it in quotes)")
    return value
