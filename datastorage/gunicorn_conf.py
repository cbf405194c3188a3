"""gunicorn's configuration: values from our settings, and the hooks of ``hooks``.

Start with ``datastorage serve`` or ``gunicorn -c python:datastorage.gunicorn_conf``. What is made here exists
before the fork and is inherited by every worker, so none of it holds a connection or a thread.
"""

import math
from importlib import import_module
from typing import Any

from datastorage.platform.server.handover import take_secrets
from datastorage.platform.server.heaps import bound_heaps
from datastorage.platform.server.startup import addresses_to_bind, load_settings, open_runtime_directory
from datastorage.settings import SECRET_VARIABLES, Settings, environment, forget_libpq_variables

_SECRETS = take_secrets(SECRET_VARIABLES)  # no worker, and nothing it starts, has them in its environment
SETTINGS = load_settings({**environment(), **_SECRETS})
forget_libpq_variables()
RUNTIME = open_runtime_directory()
bound_heaps()


def _reloadable(settings: Settings) -> dict[str, Any]:
    """Return what a reload may change; a new port needs a restart."""
    return {
        "workers": settings.server.workers,
        "threads": settings.server.threads,
        "graceful_timeout": math.ceil(settings.server.shutdown_timeout.total_seconds()),
    }


globals().update(_reloadable(SETTINGS))  # gunicorn reads names of this module, also when it reloads
wsgi_app = "datastorage.gunicorn_conf:application()"
bind = addresses_to_bind(SETTINGS.server)
worker_class = "datastorage.platform.server.worker.LaneWorker"
logger_class = "datastorage.platform.logs.GunicornLogger"
preload_app = False
keepalive = 15
timeout = 30
max_requests = 0
# Never reached: the worker itself closes the connection that has waited longest for a head.
worker_connections = 4 * SETTINGS.server.max_connections
limit_request_line = 8190
# Nothing depends on scheme, script name or path as a proxy reports them, so gunicorn need not compare the
# address of the peer with those of proxies for each request.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
forwarded_allow_ips = "*"
control_socket_disable = True
worker_tmp_dir = str(RUNTIME)
proc_name = "datastorage"

# By name, and only here: the Prometheus client decides at its first import whether processes share metrics,
# and needs the runtime directory then. Imports connect to nothing, so they may happen before the fork: a
# worker that replaces another, and the last drain, start half a second sooner.
_hooks = import_module("datastorage.hooks").Hooks(
    SETTINGS, _SECRETS, adopt=lambda settings: globals().update(_reloadable(settings))
)
application = _hooks.application
on_starting = _hooks.on_starting
when_ready = _hooks.when_ready
pre_fork = _hooks.pre_fork
worker_exit = _hooks.worker_exit
child_exit = _hooks.child_exit
on_exit = _hooks.on_exit
