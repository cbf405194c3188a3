"""The health endpoints and the checks behind them."""

from collections.abc import Callable

import redis

from datastorage.dlq.breaker import CircuitBreaker
from datastorage.health.checks import Check
from datastorage.health.probes import DatabaseProbe
from datastorage.health.service import HealthService
from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics
from datastorage.platform.server.readiness import ShutdownFlag
from datastorage.settings import Settings
from datastorage.tables import SCHEMA_REVISION
from datastorage.wiring.services import Services


def add_health(services: Services, settings: Settings, is_shutting_down: ShutdownFlag) -> None:
    """Add the checks; none of them uses the pool that requests wait for."""
    metrics = services[Metrics]
    database_probe = DatabaseProbe(services[Database])
    services.closers.append(database_probe.close)
    services.add(
        HealthService(
            Check(
                "database", database_probe, abort=database_probe.abort, on_finding=_database_finding(services)
            ),
            Check("redis", services[redis.Redis].ping, on_finding=_sets(metrics.redis_up.set)),
            is_shutting_down=is_shutting_down,
            required_revision=SCHEMA_REVISION,
            readiness_requires_database=settings.server.readiness_requires_database,
        )
    )


def _database_finding(services: Services) -> Callable[[bool], None]:
    """A database that answers a health check closes the circuit, before any write has to probe it."""
    gauge, breaker = services[Metrics].db_up, services[CircuitBreaker]

    def tell(is_up: bool) -> None:  # noqa: FBT001 - the one argument of every finding
        gauge.set(1.0 if is_up else 0.0)
        if is_up:
            breaker.succeeded()

    return tell


def _sets(gauge: Callable[[float], None]) -> Callable[[bool], None]:
    return lambda is_up: gauge(1.0 if is_up else 0.0)
