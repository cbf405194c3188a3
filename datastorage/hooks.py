"""What gunicorn calls while the service lives: in the arbiter, and around each worker."""

import gc
import logging
import os
from collections.abc import Callable, Mapping
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
from datastorage.platform.access.files import AccessFiles
from datastorage.platform.access.session_keys import SessionKeys
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.db.database import Database, application_name
from datastorage.platform.db.engine import connected
from datastorage.platform.failures import failure_of
from datastorage.platform.metrics import Metrics
from datastorage.platform.redis import redis_client
from datastorage.platform.server.arbiter import GracefulArbiter
from datastorage.platform.server.metrics import require_directory
from datastorage.platform.server.shared import InFlightRequests, SharedFlag
from datastorage.platform.server.shares import Shares
from datastorage.platform.server.shutdown import Shutdown
from datastorage.platform.server.slow_clients import limit_stalls
from datastorage.platform.server.startup import reload_settings
from datastorage.platform.server.tls import ServerTls
from datastorage.platform.watched import BadFileError
from datastorage.platform.web.current import EXTENSION
from datastorage.settings import AuthSettings, ConsoleSettings, ServerTlsSettings, Settings, environment
from datastorage.wiring import Services, build_services

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT: Final = FLUSH_TIMEOUT + timedelta(seconds=1)
"""Storing the last events of a worker about itself may take longer than closing its connections."""
PING_SECONDS: Final = 1.0


class Hooks:
    """gunicorn's hooks, as methods that share what the arbiter made before the first fork.

    Args:
        settings: of the start.
        secrets: variables that are no longer in the environment; a reload reads them again.
        adopt: makes gunicorn read other knobs after a reload.
    """

    def __init__(
        self, settings: Settings, secrets: Mapping[str, str], *, adopt: Callable[[Settings], None]
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._adopt = adopt
        self._session_keys = SessionKeys.random()  # of all workers, and of those after a reload
        self._access_files = AccessFiles(AuthSettings(), ConsoleSettings(), self._session_keys)
        self._tls: ServerTls | None = None
        self._is_shutting_down = SharedFlag()
        self._connections = Shares()

    def application(self) -> Flask:
        """Build the application by the settings as they are now, and start its loops; runs in the worker."""
        services = self._services()
        app = create_app(self._settings, services)
        services.start()
        return app

    def _services(self) -> Services:
        require_directory()
        return build_services(
            self._settings,
            is_shutting_down=self._is_shutting_down,
            access_files=self._access_files,
            tls=self._tls,
        )

    def on_starting(self, arbiter: Any) -> None:
        """Make gunicorn's arbiter ours; before it has signal handlers, listeners and workers.

        An unusable access policy or certificate, an unsuitable database, or a queue that must be durable and
        is not, end the start here, before a client is accepted.
        """
        arbiter.__class__ = GracefulArbiter
        shutdown = Shutdown(self._is_shutting_down, self._settings)
        arbiter.prepare(
            shutdown, reload=lambda: self._reload(arbiter, shutdown), drain_queue=self._drain_queue
        )
        self._access_files = _require_access_files(self._settings, self._session_keys)
        self._tls = _require_tls(self._settings.server.tls)
        _require_suitable_database(self._settings)
        _require_durable_queue(self._settings)

    def when_ready(self, arbiter: Any) -> None:
        """Limit how long an answer may take to send; with the listeners in place, before the first fork."""
        limit_stalls(arbiter.LISTENERS, self._settings.server.write_timeout)

    def _reload(self, arbiter: Any, shutdown: Shutdown) -> bool:
        """Adopt what file, secret files and environment say now, unless it is wrong; return whether."""
        settings = reload_settings({**environment(), **self._secrets}, self._settings)
        files = None if settings is None else _access_files(settings, self._session_keys)
        if settings is None or files is None:
            return False
        self._access_files = files
        self._settings = shutdown.settings = settings
        self._adopt(settings)
        if self._tls is not None:
            self._tls.use(settings.server.tls)
        limit_stalls(arbiter.LISTENERS, settings.server.write_timeout)
        return True

    def pre_fork(self, arbiter: Any, worker: Any) -> None:
        """Give the worker what it shares with the arbiter; runs in the arbiter."""
        self._access_files.look()
        if self._tls is not None:
            self._tls.look()
        worker.tls = self._tls
        worker.server_settings = self._settings.server
        worker.pool_timeout = self._settings.database.pool_timeout
        worker.is_shutting_down = self._is_shutting_down
        worker.has_left = SharedFlag()
        worker.in_flight = InFlightRequests()
        worker.share = self._connections.another(each.share for each in arbiter.WORKERS.values())
        worker.inherited_signals = arbiter.signals_of_child

    def worker_exit(self, _arbiter: Any, worker: Any) -> None:
        """Close what the worker opened; runs in the worker, but in the arbiter for one that is long gone."""
        worker.has_left.set()
        app = worker.app.callable
        if isinstance(app, Flask):  # it was loaded
            # In a thread, because a driver may hang while it closes, and the exit must not.
            closing = Thread(target=app.extensions[EXTENSION][Services].close, name="close", daemon=True)
            closing.start()
            closing.join(CLOSE_TIMEOUT.total_seconds())
            if closing.is_alive():
                logger.warning("Connections not closed in time")
        if worker.pid == os.getpid():
            gc.freeze()  # at its end the interpreter would search all objects for cycles for 0.3 s

    def child_exit(self, arbiter: Any, worker: Any) -> None:
        """Count a worker that is gone and forget its live gauges; runs in the arbiter."""
        worker.share.withdraw()
        arbiter.metrics.count_exit(worker)

    def on_exit(self, arbiter: Any) -> None:
        """Drain the queue, and leave; after the last worker."""
        gc.freeze()  # see worker_exit
        arbiter.finish()

    def _drain_queue(self, deadline: float) -> None:
        """Store queued records until ``deadline`` (monotonic seconds), then close the connections."""
        services = self._services()
        with ExitStack() as stack:
            stack.callback(_close_redis, services[redis.Redis])
            stack.callback(_close_database, services[Database])
            failure = failure_of(lambda: _drain(services, deadline - monotonic_seconds()))
            if failure is not None:
                # What was not drained is still in Redis, so the shutdown has not failed.
                logger.error("DLQ drain failed", exc_info=failure)


def _access_files(settings: Settings, own_keys: SessionKeys) -> AccessFiles | None:
    """Return the files that access control needs, ``None``, with the reason in the log, if they are bad."""
    auth = settings.auth
    try:
        files = AccessFiles(auth, settings.console, own_keys)
    except BadFileError as error:
        logger.error("Failed to load access policy", extra={"error": str(error)})
        return None
    if auth.mode == ("none",):
        logger.warning("Access control is off")
    else:
        logger.info("Access control ready", extra={"modes": list(auth.mode)})
    return files


def _require_access_files(settings: Settings, own_keys: SessionKeys) -> AccessFiles:
    """Return the files that access control needs.

    Raises:
        SystemExit: with code 1; the log says what is wrong with them.
    """
    files = _access_files(settings, own_keys)
    if files is None:
        raise SystemExit(1)
    return files


def _require_tls(settings: ServerTlsSettings) -> ServerTls | None:
    """Return what encrypts connections, ``None`` without TLS.

    Raises:
        SystemExit: with code 1; the log says what is wrong with the certificate.
    """
    if not settings.is_on:
        return None
    try:
        return ServerTls(settings)
    except BadFileError as error:
        logger.error("Failed to load TLS certificate", extra={"error": str(error)})
        raise SystemExit(1) from error


def _require_suitable_database(settings: Settings) -> None:
    """Check whether the service can work in its database.

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


def _require_durable_queue(settings: Settings) -> None:
    """Check whether Redis keeps its entries, where the settings require it.

    A Redis that does not answer does not keep the service from starting: what it cannot confirm is refused
    later.

    Raises:
        SystemExit: with code 1; the log says what is missing.
    """
    if settings.redis.dlq_require_aof != "true":
        return
    with redis_client(settings.redis) as client:
        try:
            found = persistence_of(client)
        except (redis.RedisError, OSError):
            return  # each worker logs it
    if not found.is_durable("true"):
        logger.error("Redis cannot confirm entries, redis.dlq_require_aof is true", extra=asdict(found))
        raise SystemExit(1)


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
