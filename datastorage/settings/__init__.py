"""Configuration: read once at start, checked as a whole, frozen afterwards.

``Settings.load`` merges a YAML file, the secret files it names and the environment, and either
returns typed groups (``settings.database.pool_timeout``) or raises one ``SettingsError`` that lists
every mistake. Which keys exist, with defaults and bounds, is declared on the fields of the groups;
``docs/settings.md`` is the same table for operators.
"""

from datastorage.settings.database import DatabaseSettings
from datastorage.settings.errors import SettingsError
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
from datastorage.settings.redis import RedisSettings
from datastorage.settings.table import GROUPS, KEYS
from datastorage.settings.tree import Settings
from datastorage.settings.variables import SECRET_VARIABLES, environment

__all__ = [
    "GROUPS",
    "KEYS",
    "SECRET_VARIABLES",
    "AuditSettings",
    "DatabaseSettings",
    "IncidentsSettings",
    "LimitsSettings",
    "LoggingSettings",
    "PartitionSettings",
    "RedisSettings",
    "SecuritySettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "TelemetrySettings",
    "WorkflowsSettings",
    "environment",
]
