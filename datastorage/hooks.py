"""What gunicorn calls while the service lives: in the arbiter, and around each worker."""

import gc
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

import redis
from flask import Flask

from datastorage import preconditions
from datastorage.app import create_app
from datastorage.audit.journal import FLUSH_TIMEOUT
from datastorage.dlq.drain import Drain
from datastorage.dlq.replay import Replayer
from datastorage.dlq.stream import RedisQueue
from datastorage.health.checks import Check, findings
from datastorage.health.probes import DatabaseProbe
from datastorage.ledger.key_files import LedgerKeys
from datastorage.ledger.state import SharedState, State
from datastorage.platform.access.files import AccessFiles
from datastorage.platform.access.session_keys import SessionKeys
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.db.database import Database
from datastorage.platform.failures import failure_of
from datastorage.platform.metrics import Metrics
from datastorage.platform.server.arbiter import GracefulArbiter
from datastorage.platform.server.metrics import require_directory
from datastorage.platform.server.shared import InFlightRequests, SharedFlag
from datastorage.platform.server.shares import Shares
from datastorage.platform.server.shutdown import Shutdown
from datastorage.platform.server.slow_clients import limit_stalls
from datastorage.platform.server.startup import reload_settings
from datastorage.platform.web.current import EXTENSION
from datastorage.settings import (
    AuthSettings,
    ConsoleSettings,
    Settings,
    environment,
)
from datastorage.wiring import LedgerParts, Services, build_services

if TYPE_CHECKING:
    from datastorage.platform.server.tls import ServerTls

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
        self._ledger = LedgerParts(LedgerKeys(), SharedState(State.OFF))
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
            ledger=self._ledger,
        )

    def on_starting(self, arbiter: Any) -> None:
        """Make gunicorn's arbiter ours; before it has signal handlers, listeners and workers.

        An unusable access policy, certificate or key of the ledger, an unsuitable database, or a queue that
        must be durable and is not, end the start here, before a client is accepted.
        """
        arbiter.__class__ = GracefulArbiter
        shutdown = Shutdown(self._is_shutting_down, self._settings)
        arbiter.prepare(
            shutdown, reload=lambda: self._reload(arbiter, shutdown), drain_queue=self._drain_queue
        )
        self._access_files = preconditions.require_access_files(self._settings, self._session_keys)
        self._tls = preconditions.require_tls(self._settings.server.tls)
        self._ledger = preconditions.require_ledger(self._settings.ledger)
        preconditions.require_suitable_database(self._settings)
        preconditions.require_durable_queue(self._settings)

    def when_ready(self, arbiter: Any) -> None:
        """Limit how long an answer may take to send; with the listeners in place, before the first fork."""
        limit_stalls(arbiter.LISTENERS, self._settings.server.write_timeout)

    def _reload(self, arbiter: Any, shutdown: Shutdown) -> bool:
        """Adopt what file, secret files and environment say now, unless it is wrong; return whether."""
        settings = reload_settings({**environment(), **self._secrets}, self._settings)
        files = None if settings is None else preconditions.access_files(settings, self._session_keys)
        if settings is None or files is None:
            return False
        self._access_files = files
        self._ledger = preconditions.reloaded_ledger(settings.ledger, self._ledger)
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
