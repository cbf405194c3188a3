"""What gunicorn calls while the service lives: in the arbiter, in order, and around each worker."""

import gc
import os
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask

from datastorage import wsgi
from datastorage.platform.server import metrics_files
from datastorage.platform.server.arbiter import ShutdownControl
from datastorage.platform.server.exits import ArbiterMetrics
from datastorage.platform.server.in_flight import InFlightRequests
from datastorage.platform.server.readiness import ShutdownFlag
from datastorage.platform.server.shares import Shares
from datastorage.platform.server.shutdown import Shutdown
from datastorage.platform.server.slow_clients import limit_stalls
from datastorage.platform.server.startup import reload_settings
from datastorage.settings import Settings, environment


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
        self._is_shutting_down = ShutdownFlag()
        self._connections = Shares()

    def application(self) -> Flask:
        """Build the application of a worker, by the settings as they are now; runs in the worker."""
        return wsgi.application(self._settings, self._is_shutting_down)

    def on_starting(self, arbiter: Any) -> None:
        """Forget the metrics of the last run; before the first fork.

        An unsuitable database, or a queue that must be durable and is not, ends the start here, before a
        client is accepted.
        """
        metrics_files.empty()
        arbiter.metrics = ArbiterMetrics()
        wsgi.require_suitable_database(self._settings)
        wsgi.require_durable_queue(self._settings)

    def when_ready(self, arbiter: Any) -> None:
        """Take over the shutdown, with gunicorn's signal handlers and listeners in place; before the fork."""
        shutdown = Shutdown(self._is_shutting_down, self._settings)
        arbiter.control = ShutdownControl(
            arbiter,
            shutdown,
            reload=lambda: self._reload(arbiter, shutdown),
            drain_queue=lambda deadline: wsgi.drain_queue(self._settings, self._is_shutting_down, deadline),
            on_begin=arbiter.metrics.begin_shutdown,
        )
        limit_stalls(arbiter.LISTENERS, self._settings.server.write_timeout)
        arbiter.control.take_over()

    def _reload(self, arbiter: Any, shutdown: Shutdown) -> bool:
        """Adopt what file, secret files and environment say now, unless it is wrong; return whether."""
        settings = reload_settings({**environment(), **self._secrets}, self._settings)
        if settings is None:
            return False
        self._settings = shutdown.settings = settings
        self._adopt(settings)
        limit_stalls(arbiter.LISTENERS, settings.server.write_timeout)
        return True

    def pre_fork(self, arbiter: Any, worker: Any) -> None:
        """Give the worker what it shares with the arbiter; runs in the arbiter."""
        arbiter.metrics.watch(worker)
        worker.server_settings = self._settings.server
        worker.is_shutting_down = self._is_shutting_down
        worker.in_flight = InFlightRequests()
        worker.share = self._connections.another(each.share for each in arbiter.WORKERS.values())
        worker.inherited_signals = arbiter.control.meant_for_child

    def worker_exit(self, _arbiter: Any, worker: Any) -> None:
        """Close what the worker opened; runs in the worker, but in the arbiter for one that is long gone."""
        worker.has_left.set()
        wsgi.close(worker.app)
        if worker.pid == os.getpid():
            gc.freeze()  # at its end the interpreter searches all objects for cycles: 0.3 s for nothing

    def child_exit(self, arbiter: Any, worker: Any) -> None:
        """Count a worker that is gone and forget its live gauges; runs in the arbiter."""
        worker.share.withdraw()
        arbiter.metrics.count(worker)

    def on_exit(self, arbiter: Any) -> None:
        """Bring back what is queued, and leave; after the last worker."""
        gc.freeze()  # see worker_exit
        arbiter.control.finish()
