"""The two URLs of the environment, taken apart. They hold passwords: no text here repeats any of one."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from marshmallow import ValidationError
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

_DATABASE_PORT = 5432
_REDIS_PORT = 6379
_FIELDS = {
    "sslmode": "ssl_mode",
    "sslrootcert": "ssl_root_cert",
    "sslcert": "ssl_cert",
    "sslkey": "ssl_key",
    "target_session_attrs": "target_session_attrs",
}
_HOSTS = re.compile(r"(?<=[/@])[^/?@]*,[^/?@]*(?=[/?]|$)")
"""The part of a URL that names several hosts, which SQLAlchemy does not read there."""

Parts = tuple[Mapping[str, Any], list[str]]
"""Values by path, ``None`` for what the URL leaves out, and the parameters without effect."""


def parse_database_url(text: str) -> Parts:
    """Read ``postgresql://user:password@host:port/name?sslmode=...``; several hosts stand with commas.

    A host given as a parameter may be the directory of a Unix socket (``?host=/run/postgresql``).

    Raises:
        ValidationError: the text is no such URL.
    """
    several = _HOSTS.search(text)
    try:
        url = make_url(_HOSTS.sub("several", text, count=1))
    except (ArgumentError, ValueError):
        raise ValidationError("must be postgresql://user:password@host:port/name") from None
    if url.drivername not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise ValidationError("must start with postgresql://")
    parameters = dict(url.query)
    host = parameters.pop("host", several.group() if several else url.host)
    # A URL that names a host but no port means the usual port, not the one of another source.
    port = parameters.pop("port", url.port or (_DATABASE_PORT if host else None))
    values = {
        "host": host,
        "port": port,
        "name": url.database,
        "user": url.username,
        "password": url.password,
    }
    values |= {field: parameters.pop(name, None) for name, field in _FIELDS.items()}
    return {f"database.{field}": value for field, value in values.items()}, sorted(parameters)


def parse_redis_url(text: str) -> Parts:
    """Read ``redis://user:password@host:port/db``; ``rediss://`` switches TLS on, ``redis://`` off.

    Raises:
        ValidationError: the text is no such URL.
    """
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port or _REDIS_PORT
    except ValueError:
        host, port = "", 0
    if not host or url.scheme not in {"redis", "rediss"}:
        raise ValidationError("must be redis://user:password@host:port/db or rediss://...")
    values = {
        "redis.addr": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "redis.db": url.path.strip("/") or None,
        "redis.username": _unquoted(url.username) or None,
        "redis.password": _unquoted(url.password),
        "redis.tls.enabled": url.scheme == "rediss",
    }
    return values, [name for name, _ in parse_qsl(url.query, keep_blank_values=True)]


def _unquoted(part: str | None) -> str | None:
    return None if part is None else unquote(part)
