"""The settings as a whole: what the rest of the service is handed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from datastorage.settings.database import DatabaseSettings
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
from datastorage.settings.loading import load_groups
from datastorage.settings.redis import RedisSettings
from datastorage.settings.table import GROUPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be configured; one attribute per group of the file.

    Attributes:
        warnings: what was accepted but deserves attention, to be logged once logging is set up.
    """

    database: DatabaseSettings
    redis: RedisSettings
    server: ServerSettings = field(default_factory=ServerSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    limits: LimitsSettings = field(default_factory=LimitsSettings)
    partition: PartitionSettings = field(default_factory=PartitionSettings)
    workflows: WorkflowsSettings = field(default_factory=WorkflowsSettings)
    incidents: IncidentsSettings = field(default_factory=IncidentsSettings)
    logging: LoggingSettings = field(default_factory=LoggingSettings)
    security: SecuritySettings = field(default_factory=SecuritySettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    warnings: tuple[str, ...] = ()

    @classmethod
    def load(cls, config_path: Path | None, environ: Mapping[str, str]) -> Self:
        """Read file, secret files and environment; ``config_path`` wins over ``CONFIG_PATH``.

        Raises:
            SettingsError: with every problem found.
        """
        loaded = load_groups(config_path, environ, tuple(GROUPS))
        groups = {name: group(**loaded.groups[name]) for name, group in GROUPS.items()}
        return cls(**groups, warnings=loaded.warnings)

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
        loaded = load_groups(config_path, environ, ("database", "security"))
        return DatabaseSettings(**loaded.groups["database"])

    def summary(self) -> dict[str, object]:
        """Return the fields of the start-up line: no user name, no secret."""
        return {
            "port": self.server.port,
            "metrics_port": self.server.metrics_port,
            "database_host": self.database.host,
            "database_port": self.database.port,
            "database_name": self.database.name,
            "redis_addr": self.redis.addr,
            "log_level": self.logging.level,
            "workers": self.server.workers,
            "threads": self.server.threads,
            "max_open_conns": self.database.max_open_conns,
            "max_idle_conns": self.database.max_idle_conns,
            "conn_max_lifetime_seconds": self.database.conn_max_lifetime.total_seconds(),
            "conn_max_idle_time_seconds": self.database.conn_max_idle_time.total_seconds(),
            "pool_timeout_seconds": self.database.pool_timeout.total_seconds(),
            "security_strict": self.security.strict,
        }
