"""What gunicorn calls: the application in a worker, its end, and the last drain in the arbiter's child."""

import logging
from contextlib import ExitStack, suppress
from dataclasses import asdict
from datetime import timedelta
from threading import Thread
from typing import Any, Final

import redis
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from datastorage.app import create_app
from datastorage.audit.journal import FLUSH_TIMEOUT
from datastorage.dlq.drain import Drain
from datastorage.dlq.durability import persistence_of
from datastorage.dlq.replay import Replayer
from datastorage.dlq.stream import RedisQueue
from datastorage.errors import DatabaseUnsuitable
from datastorage.health.checks import Check, findings
from datastorage.health.probes import DatabaseProbe
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.db.database import Database, application_name
from datastorage.platform.db.engine import connected
from datastorage.platform.failures import failure_of
from datastorage.platform.metrics import Metrics
from datastorage.platform.redis import redis_client
from datastorage.platform.server import metrics_files
from datastorage.platform.server.readiness import ShutdownFlag
from datastorage.platform.web.current import EXTENSION
from datastorage.settings import Settings
from datastorage.wiring import Services, build_services

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT: Final = FLUSH_TIMEOUT + timedelta(seconds=1)
"""What the worker wrote about itself and has not stored yet may take longer than its connections."""
PING_SECONDS: Final = 1.0


def application(settings: Settings, is_shutting_down: ShutdownFlag) -> Flask:
    """Build the application and start its loops."""
    metrics_files.require()
    services = build_services(settings, is_shutting_down=is_shutting_down)
    app = create_app(settings, services)
    services.start()
    return app


def close(gunicorn_app: Any) -> None:
    """Stop the loops and close the connections of the application that gunicorn loaded, if it did."""
    app = gunicorn_app.callable
    if isinstance(app, Flask):
        services: Services = app.extensions[EXTENSION][Services]
        closing = Thread(target=services.close, name="close", daemon=True)
        closing.start()
        closing.join(CLOSE_TIMEOUT.total_seconds())
        if closing.is_alive():
            logger.warning("Connections not closed in time")


def require_durable_queue(settings: Settings) -> None:
    """Look before the first fork whether Redis keeps its entries, where the settings insist on it.

    A Redis that does not answer is no reason not to start: what it cannot confirm is refused later.

    Raises:
        SystemExit: with code 1; the log says what is missing.
    """
    if settings.redis.dlq_require_aof != "true":
        return
    with redis_client(settings.redis) as client:
        try:
            found = persistence_of(client)
        except (redis.RedisError, OSError):
            return  # each worker says so
    if not found.is_durable("true"):
        logger.error("Redis cannot confirm entries, redis.dlq_require_aof is true", extra=asdict(found))
        raise SystemExit(1)


def require_suitable_database(settings: Settings) -> None:
    """Look before the first fork whether the service can work in its database.

    A database that does not answer is no reason not to start; readiness tells until it does.

    Raises:
        SystemExit: with code 1; the log says what is wrong.
    """
    with suppress(SQLAlchemyError):
        try:
            with connected(settings.database, application_name()):
                pass
        except DatabaseUnsuitable as unsuitable:
            logger.error(unsuitable.cause)
            raise SystemExit(1) from unsuitable


def drain_queue(settings: Settings, is_shutting_down: ShutdownFlag, deadline: float) -> None:
    """Bring queued records back until ``deadline`` (monotonic seconds), then close the connections."""
    metrics_files.require()
    services = build_services(settings, is_shutting_down=is_shutting_down)
    with ExitStack() as stack:
        stack.callback(_close_redis, services[redis.Redis])
        stack.callback(_close_database, services[Database])
        failure = failure_of(lambda: _drain(services, deadline - monotonic_seconds()))
        if failure is not None:
            # What was not drained is still in Redis: no reason to end as if something had failed.
            logger.error("DLQ drain failed", exc_info=failure)


def _drain(services: Services, seconds: float) -> None:
    if seconds <= 0:
        logger.info("DLQ drain skipped", extra={"reason": "no time left"})
        return
    drain = Drain(
        services[RedisQueue],
        services[Replayer],
        database_answers=lambda: _answers(services[Database]),
        metrics=services[Metrics],
    )
    drain.run(timedelta(seconds=seconds))


def _answers(database: Database) -> bool:
    probe = DatabaseProbe(database)
    [found] = findings(Check("database", probe, abort=probe.abort, budget_seconds=PING_SECONDS))
    probe.close()
    return found.is_up


def _close_database(database: Database) -> None:
    logger.info("Closing database connections")
    database.close()
    logger.info("Database connections closed successfully")


def _close_redis(client: redis.Redis) -> None:
    logger.info("Closing Redis connections")
    client.close()
    logger.info("Redis connections closed successfully")
