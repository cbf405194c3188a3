"""Every group and every key: the table behind the file, the environment and the documentation."""

from difflib import get_close_matches
from typing import Final

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
from datastorage.settings.keys import Key, keys_of
from datastorage.settings.redis import RedisSettings

GROUPS: Final[dict[str, type]] = {
    "server": ServerSettings,
    "audit": AuditSettings,
    "limits": LimitsSettings,
    "partition": PartitionSettings,
    "workflows": WorkflowsSettings,
    "incidents": IncidentsSettings,
    "logging": LoggingSettings,
    "database": DatabaseSettings,
    "redis": RedisSettings,
    "security": SecuritySettings,
    "telemetry": TelemetrySettings,
}
KEYS: Final[tuple[Key, ...]] = tuple(key for name, group in GROUPS.items() for key in keys_of(name, group))


def closest(name: str, known: tuple[str, ...]) -> str:
    """Return the known name that looks most like ``name``."""
    return get_close_matches(name, known, n=1, cutoff=0.0)[0]
