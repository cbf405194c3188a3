"""gunicorn's configuration: knobs from our settings, and hooks of one call each.

Start with ``datastorage serve`` or ``gunicorn -c python:datastorage.platform.server.gunicorn_conf``.
What is made here exists before the fork and is inherited by every worker: settings and the shutdown
flag, nothing that holds a connection or a thread.

Whatever touches the Prometheus client is imported inside the hooks: it decides at its first import
whether metrics are shared between processes, and by then the runtime directory must be known.
"""

import os
from importlib import import_module
from typing import Any

from datastorage.platform.server.readiness import ShutdownFlag
from datastorage.platform.server.startup import load_settings, open_runtime_directory
from datastorage.settings import SECRET_VARIABLES, environment

SETTINGS = load_settings(environment())
IS_SHUTTING_DOWN = ShutdownFlag()
RUNTIME = open_runtime_directory()

for _name in SECRET_VARIABLES:
    os.environ.pop(_name, None)  # noqa: TID251 - a worker, or what it starts, has no business with these

_server = SETTINGS.server
wsgi_app = "datastorage.wsgi:application()"
bind = [f"{_server.host}:{_server.port}", f"{_server.host}:{_server.metrics_port}"]
workers = _server.workers
threads = _server.threads
worker_class = "datastorage.platform.server.worker.LaneWorker"
logger_class = "datastorage.platform.logs.GunicornLogger"
preload_app = False
keepalive = 15
timeout = 30
graceful_timeout = int(_server.shutdown_timeout.total_seconds())
max_requests = 0
limit_request_line = 8190
control_socket_disable = True
worker_tmp_dir = str(RUNTIME)
proc_name = "datastorage"


def on_starting(arbiter: Any) -> None:
    """Before the first fork: forget the metrics of the last run, import what every worker needs.

    Modules connect to nothing, so they may be there before the fork. A worker, also one that
    replaces another, then starts without half a second of imports.
    """
    from datastorage.platform.server import metrics_files
    from datastorage.platform.server.exits import WorkerExits

    metrics_files.empty()
    arbiter.worker_exits = WorkerExits()
    import_module(wsgi_app.partition(":")[0])


def pre_fork(arbiter: Any, worker: Any) -> None:
    """Prepare to tell how the worker will end, and which signals it may miss; runs in the arbiter."""
    arbiter.worker_exits.watch(worker)
    worker.inherited_signals = arbiter.SIG_QUEUE


def worker_exit(_arbiter: Any, worker: Any) -> None:
    """Close what the worker opened; runs in the worker."""
    from datastorage.wsgi import close

    worker.has_left.set()
    close(worker.app)


def child_exit(arbiter: Any, worker: Any) -> None:
    """Count a worker that is gone and forget its live gauges; runs in the arbiter."""
    arbiter.worker_exits.count(worker)
