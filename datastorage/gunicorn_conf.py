"""gunicorn's configuration: knobs from our settings, and hooks that are in ``hooks``.

Start with ``datastorage serve`` or ``gunicorn -c python:datastorage.gunicorn_conf``. What is made here exists
before the fork and is inherited by every worker: settings and the shutdown flag, nothing that holds a
connection or a thread.
"""

import math
from importlib import import_module
from typing import Any

from datastorage.platform.server.handover import take_secrets
from datastorage.platform.server.startup import addresses_to_bind, load_settings, open_runtime_directory
from datastorage.settings import SECRET_VARIABLES, Settings, environment, forget_libpq_variables

_SECRETS = take_secrets(SECRET_VARIABLES)  # no worker, and nothing it starts, has them in its environment
SETTINGS = load_settings({**environment(), **_SECRETS})
forget_libpq_variables()
RUNTIME = open_runtime_directory()


def _of(settings: Settings) -> dict[str, Any]:
    """Return the knobs that a reload may turn; the ports stay, a restart changes them."""
    return {
        "workers": settings.server.workers,
        "threads": settings.server.threads,
        "graceful_timeout": math.ceil(settings.server.shutdown_timeout.total_seconds()),
    }


globals().update(_of(SETTINGS))  # gunicorn reads names of this module, also when it reloads
wsgi_app = "datastorage.gunicorn_conf:application()"
bind = addresses_to_bind(SETTINGS.server)
worker_class = "datastorage.platform.server.worker.LaneWorker"
logger_class = "datastorage.platform.logs.GunicornLogger"
preload_app = False
keepalive = 15
timeout = 30
max_requests = 0
limit_request_line = 8190
# Nothing here depends on scheme, script name or path of a proxy. So no proxy needs to be known, and the
# address of the peer is not read for each request.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
forwarded_allow_ips = "*"
control_socket_disable = True
worker_tmp_dir = str(RUNTIME)
proc_name = "datastorage"

# By name, behind what it needs: the Prometheus client decides at its first import whether processes share
# metrics, and looks for the runtime directory then. Modules connect to nothing, so they may be there before
# the fork: a worker that replaces another starts without half a second of imports, as does the last drain.
_hooks = import_module("datastorage.hooks").Hooks(
    SETTINGS, _SECRETS, adopt=lambda settings: globals().update(_of(settings))
)
application = _hooks.application
on_starting = _hooks.on_starting
when_ready = _hooks.when_ready
pre_fork = _hooks.pre_fork
worker_exit = _hooks.worker_exit
child_exit = _hooks.child_exit
on_exit = _hooks.on_exit
