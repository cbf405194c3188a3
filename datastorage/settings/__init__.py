"""Configuration: read once at start, checked as a whole, frozen afterwards.

``Settings.load`` merges a YAML file, the secret files it names and the environment, and either
returns typed groups (``settings.database.pool_timeout``) or raises one ``SettingsError`` that lists
every mistake. Which keys exist, with defaults and bounds, is declared on the fields of the groups;
``docs/settings.md`` is the same table for operators.
"""

from datastorage.settings.access import (
    AuthSettings,
    ConsoleSettings,
    KubernetesAuthSettings,
    RateLimitSettings,
)
from datastorage.settings.errors import SettingsError
from datastorage.settings.groups import (
    AuditSettings,
    IncidentsSettings,
    LimitsSettings,
    LoggingSettings,
    PartitionSettings,
    SecuritySettings,
    ServerSettings,
    ServerTlsSettings,
    TelemetrySettings,
    WorkflowsSettings,
)
from datastorage.settings.ledger import FeedSettings, LedgerSettings
from datastorage.settings.rates import Rate
from datastorage.settings.servers import DatabaseSettings, RedisSettings
from datastorage.settings.sources import URLS, environment, forget_libpq_variables
from datastorage.settings.tree import KEYS, Settings, ignored_variables

SECRET_VARIABLES = (
    *(name for name, _ in URLS.values()),
    *(key.short for key in KEYS if key.is_secret and key.short),
)
"""Removed from the process environment before workers start: nothing inherits them from a worker."""

__all__ = [
    "KEYS",
    "SECRET_VARIABLES",
    "AuditSettings",
    "AuthSettings",
    "ConsoleSettings",
    "DatabaseSettings",
    "FeedSettings",
    "IncidentsSettings",
    "KubernetesAuthSettings",
    "LedgerSettings",
    "LimitsSettings",
    "LoggingSettings",
    "PartitionSettings",
    "Rate",
    "RateLimitSettings",
    "RedisSettings",
    "SecuritySettings",
    "ServerSettings",
    "ServerTlsSettings",
    "Settings",
    "SettingsError",
    "TelemetrySettings",
    "WorkflowsSettings",
    "environment",
    "forget_libpq_variables",
    "ignored_variables",
]
