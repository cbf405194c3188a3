"""The two URLs of the environment, taken apart. They hold passwords: no text here repeats any of one."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from datastorage.settings.errors import Refused

_DATABASE_SCHEMES = frozenset({"postgresql", "postgres", "postgresql+psycopg"})
_DATABASE_PORT = 5432
_DATABASE_PARAMETERS = frozenset({"host", "port", "sslmode", "sslrootcert"})
_REDIS_PORT = 6379


@dataclass(frozen=True, slots=True)
class Location:
    """What a URL says: raw values by slot, the password if it has one, parameters without effect."""

    values: Mapping[str, object]
    password: str | None
    ignored: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Location({', '.join(sorted(self.values))})"


def parse_database_url(text: str) -> Location:
    """Read ``postgresql://user:password@host:port/name?sslmode=...``.

    A host given as a parameter may be the directory of a Unix socket (``?host=/run/postgresql``).

    Raises:
        Refused: the text is no such URL.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise Refused("must be postgresql://user:password@host:port/name") from None
    if url.drivername not in _DATABASE_SCHEMES:
        raise Refused("must start with postgresql://")
    parameters = {name: value for name, value in url.query.items() if isinstance(value, str)}
    host = parameters.get("host", url.host)
    # A URL that names a host but no port means the usual port, not the one of another source.
    port = parameters.get("port", url.port or (_DATABASE_PORT if host else None))
    values = {
        "database.host": host,
        "database.port": port,
        "database.name": url.database,
        "database.user": url.username,
        "database.ssl_mode": parameters.get("sslmode"),
        "database.ssl_root_cert": parameters.get("sslrootcert"),
    }
    password = None if url.password is None else str(url.password)
    return Location(_present(values), password, tuple(sorted(set(url.query) - _DATABASE_PARAMETERS)))


def _present(values: Mapping[str, object]) -> Mapping[str, object]:
    return {slot: value for slot, value in values.items() if value is not None}


def parse_redis_url(text: str) -> Location:
    """Read ``redis://:password@host:port/db``; ``rediss://`` switches TLS on, ``redis://`` off.

    Raises:
        Refused: the text is no such URL, or it names a user, which is not supported.
    """
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port or _REDIS_PORT
    except ValueError:
        host, port = None, 0
    if not host or url.scheme not in {"redis", "rediss"}:
        raise Refused("must be redis://:password@host:port/db or rediss://...")
    if url.username not in {None, "", "default"}:
        raise Refused("must not name a user")
    values = {
        "redis.addr": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "redis.db": url.path.strip("/") or None,
        "redis.tls_enabled": url.scheme == "rediss",
    }
    password = None if url.password is None else unquote(url.password)
    ignored = tuple(part.partition("=")[0] for part in url.query.split("&") if part)
    return Location(_present(values), password, ignored)
