"""gunicorn's configuration: knobs from our settings, and hooks of a few calls each.

Start with ``datastorage serve`` or ``gunicorn -c python:datastorage.platform.server.gunicorn_conf``.
What is made here exists before the fork and is inherited by every worker: settings and the shutdown
flag, nothing that holds a connection or a thread.

Whatever touches the Prometheus client is imported inside the hooks: it decides at its first import
whether metrics are shared between processes, and by then the runtime directory must be known.
"""

import gc
import math
import os
from importlib import import_module
from typing import Any

from datastorage.platform.server.handover import take_secrets
from datastorage.platform.server.readiness import ShutdownFlag
from datastorage.platform.server.shares import Shares
from datastorage.platform.server.startup import (
    addresses_to_bind,
    load_settings,
    open_runtime_directory,
    reload_settings,
)
from datastorage.settings import SECRET_VARIABLES, Settings, environment

_SECRETS = take_secrets(SECRET_VARIABLES)  # no worker, and nothing it starts, has them in its environment
SETTINGS = load_settings({**environment(), **_SECRETS})
IS_SHUTTING_DOWN = ShutdownFlag()
CONNECTIONS = Shares()
RUNTIME = open_runtime_directory()


def _of(settings: Settings) -> dict[str, Any]:
    """Return the knobs that a reload may turn; the ports stay, a restart changes them."""
    return {
        "SETTINGS": settings,
        "workers": settings.server.workers,
        "threads": settings.server.threads,
        "graceful_timeout": math.ceil(settings.server.shutdown_timeout.total_seconds()),
    }


globals().update(_of(SETTINGS))  # gunicorn reads names of this module, also when it reloads
wsgi_app = "datastorage.wsgi:application()"
bind = addresses_to_bind(SETTINGS.server)
worker_class = "datastorage.platform.server.worker.LaneWorker"
logger_class = "datastorage.platform.logs.GunicornLogger"
preload_app = False
keepalive = 15
timeout = 30
max_requests = 0
limit_request_line = 8190
# No proxy can set scheme, script name or path: nothing here depends on them. So nobody has to be told apart,
# and the address of the peer need not be read for each request.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
forwarded_allow_ips = "*"
control_socket_disable = True
worker_tmp_dir = str(RUNTIME)
proc_name = "datastorage"


def on_starting(arbiter: Any) -> None:
    """Before the first fork: forget the metrics of the last run, import what every worker needs.

    Modules connect to nothing, so they may be there before the fork. A worker, also one that
    replaces another, then starts without half a second of imports; so does the drain of the queue.
    """
    from datastorage.platform.server import metrics_files
    from datastorage.platform.server.exits import ArbiterMetrics

    metrics_files.empty()
    arbiter.metrics = ArbiterMetrics()
    import_module(wsgi_app.partition(":")[0])


def when_ready(arbiter: Any) -> None:
    """Before the first fork, with gunicorn's signal handlers and listeners in place: do it our way."""
    from datastorage.platform.server.arbiter import ShutdownControl
    from datastorage.platform.server.shutdown import Shutdown
    from datastorage.wsgi import drain_queue

    shutdown = Shutdown(IS_SHUTTING_DOWN, SETTINGS)
    arbiter.control = ShutdownControl(
        arbiter,
        shutdown,
        reload=lambda: _reload(arbiter, shutdown),
        drain_queue=drain_queue,
        on_begin=arbiter.metrics.begin_shutdown,
    )
    _limit_stalls(arbiter)
    arbiter.control.take_over()


def _limit_stalls(arbiter: Any) -> None:
    from datastorage.platform.server.slow_clients import limit_stalls

    limit_stalls(arbiter.LISTENERS, SETTINGS.server.write_timeout)


def _reload(arbiter: Any, shutdown: Any) -> bool:
    """Adopt what file, secret files and environment say now, unless it is wrong; return whether."""
    settings = reload_settings({**environment(), **_SECRETS}, SETTINGS)
    if settings is None:
        return False
    globals().update(_of(settings))
    shutdown.settings = settings
    _limit_stalls(arbiter)
    return True


def pre_fork(arbiter: Any, worker: Any) -> None:
    """Give the worker what it shares with the arbiter; runs in the arbiter."""
    from datastorage.platform.server.tally import RequestTally

    arbiter.metrics.watch(worker)
    worker.server_settings = SETTINGS.server
    worker.is_shutting_down = IS_SHUTTING_DOWN
    worker.tally = RequestTally()
    worker.share = CONNECTIONS.another(each.share for each in arbiter.WORKERS.values())
    worker.inherited_signals = arbiter.control.meant_for_child


def worker_exit(_arbiter: Any, worker: Any) -> None:
    """Close what the worker opened; runs in the worker, but in the arbiter for one that is long gone."""
    from datastorage.wsgi import close

    worker.has_left.set()
    close(worker.app)
    if worker.pid == os.getpid():
        gc.freeze()  # at its end the interpreter searches all objects for cycles: 0.3 s for nothing


def child_exit(arbiter: Any, worker: Any) -> None:
    """Count a worker that is gone and forget its live gauges; runs in the arbiter."""
    worker.share.withdraw()
    arbiter.metrics.count(worker)


def on_exit(arbiter: Any) -> None:
    """Bring back what is queued, and leave; after the last worker."""
    gc.freeze()  # see worker_exit
    arbiter.control.finish()
