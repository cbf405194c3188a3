"""The settings as a whole: what the rest of the service is handed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from datastorage.settings.access import AuthSettings, ConsoleSettings, RateLimitSettings
from datastorage.settings.groups import (
    AuditSettings,
    IncidentsSettings,
    LimitsSettings,
    LoggingSettings,
    PartitionSettings,
    SecuritySettings,
    ServerSettings,
    TelemetrySettings,
    WorkflowsSettings,
)
from datastorage.settings.keys import Key, keys_of
from datastorage.settings.ledger import FeedSettings, LedgerSettings
from datastorage.settings.loading import load_values
from datastorage.settings.servers import DatabaseSettings, RedisSettings
from datastorage.settings.sources import unrelated_variables

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be configured; one attribute per group of the file.

    Attributes:
        warnings: what was accepted but deserves attention, to be logged once logging is set up.
    """

    server: ServerSettings = field(default_factory=ServerSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    rate_limit: RateLimitSettings = field(default_factory=RateLimitSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    feed: FeedSettings = field(default_factory=FeedSettings)
    limits: LimitsSettings = field(default_factory=LimitsSettings)
    partition: PartitionSettings = field(default_factory=PartitionSettings)
    workflows: WorkflowsSettings = field(default_factory=WorkflowsSettings)
    incidents: IncidentsSettings = field(default_factory=IncidentsSettings)
    logging: LoggingSettings = field(default_factory=LoggingSettings)
    database: DatabaseSettings
    redis: RedisSettings
    security: SecuritySettings = field(default_factory=SecuritySettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    warnings: tuple[str, ...] = ()

    @classmethod
    def load(cls, config_path: Path | None, environ: Mapping[str, str]) -> Self:
        """Read file, secret files and environment; ``config_path`` wins over ``CONFIG_PATH``.

        Raises:
            SettingsError: with every problem found.
        """
        groups = {each.name for each in fields(cls)}
        values, warnings = load_values(KEYS, groups, config_path, environ)
        return _build(cls, values | {"warnings": tuple(warnings)})

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Load what ``CONFIG_PATH`` and the other variables of ``environ`` say.

        Raises:
            SettingsError: with every problem found.
        """
        return cls.load(None, environ)

    @classmethod
    def load_database(cls, config_path: Path | None, environ: Mapping[str, str]) -> DatabaseSettings:
        """Read only what a migration needs: the database, and whether security is strict.

        Raises:
            SettingsError: with every problem of these settings.
        """
        values, _ = load_values(KEYS, {"database", "security"}, config_path, environ)
        return _build(DatabaseSettings, values, "database.")

    def summary(self) -> dict[str, object]:
        """Return the fields of the start-up line: no user name, no secret."""
        database = self.database
        return {
            "port": self.server.port,
            "metrics_port": self.server.metrics_port,
            "database_host": database.host,
            "database_port": database.port,
            "database_name": database.name,
            "redis_addr": self.redis.place,
            "log_level": self.logging.level,
            "workers": self.server.workers,
            "threads": self.server.threads,
            "max_open_conns": database.max_open_conns,
            "max_idle_conns": database.max_idle_conns,
            "conn_max_lifetime_seconds": database.conn_max_lifetime.total_seconds(),
            "conn_max_idle_time_seconds": database.conn_max_idle_time.total_seconds(),
            "pool_timeout_seconds": database.pool_timeout.total_seconds(),
            "security_strict": self.security.strict,
        }


KEYS: Final[tuple[Key, ...]] = tuple(keys_of(Settings))


def ignored_variables(environ: Mapping[str, str]) -> list[str]:
    """Return the names of variables that look like ours, are none, and are close to none."""
    return unrelated_variables(KEYS, environ)


def _build(group: type[T], values: Mapping[str, Any], prefix: str = "") -> T:
    """Make a group, and the groups in it, of values by path."""
    parts: dict[str, Any] = {}
    for each in fields(group):  # type: ignore[arg-type]
        path = f"{prefix}{each.name}"
        if isinstance(each.type, type) and is_dataclass(each.type):
            parts[each.name] = _build(each.type, values, f"{path}.")
        elif path in values:
            parts[each.name] = values[path]
    return group(**parts)
