"""gunicorn's configuration: knobs from our settings, and hooks of one call each.

Start with ``datastorage serve`` or ``gunicorn -c python:datastorage.platform.server.gunicorn_conf``.
What is made here exists before the fork and is inherited by every worker: settings and the shutdown
flag, nothing that holds a connection or a thread.
"""

import os
import socket
from typing import Any

from datastorage import __version__
from datastorage.platform.logs import configure_logging
from datastorage.platform.server import metrics_files
from datastorage.platform.server.readiness import ShutdownFlag
from datastorage.platform.server.runtime import prepare_environment
from datastorage.settings import SECRET_VARIABLES, Settings, environment

SETTINGS = Settings.from_environ(environment())
IS_SHUTTING_DOWN = ShutdownFlag()
RUNTIME = prepare_environment()

configure_logging(SETTINGS.logging, __version__, socket.gethostname())

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


def on_starting(_arbiter: Any) -> None:
    """Before the first fork: forget the metrics of the last run."""
    metrics_files.empty()


def worker_exit(_arbiter: Any, worker: Any) -> None:
    """Close what the worker opened; runs in the worker."""
    from datastorage.wsgi import close

    close(worker.app)


def child_exit(_arbiter: Any, worker: Any) -> None:
    """Forget the live gauges of a worker that is gone; runs in the arbiter."""
    metrics_files.forget(worker.pid)
