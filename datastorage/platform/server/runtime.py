"""The runtime directory: small files of a running service, in memory where the platform offers it."""

import os
import tempfile
from pathlib import Path

POD_DIRECTORY = Path("/var/run/datastorage")


def prepare_environment() -> Path:
    """Make the runtime directory, point ``TMPDIR`` and ``PROMETHEUS_MULTIPROC_DIR`` into it, return it.

    Values that are set already win. Must run before the Prometheus client is first imported: it
    decides then whether metrics are shared between processes.
    """
    environ = os.environ  # noqa: TID251 - writes two variables that libraries read
    chosen = Path(environ["TMPDIR"]) if "TMPDIR" in environ else _runtime_directory()
    environ["TMPDIR"] = str(chosen)
    metrics = Path(environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(chosen / "metrics")))
    metrics.mkdir(parents=True, exist_ok=True)
    return chosen


def _runtime_directory() -> Path:
    if POD_DIRECTORY.is_dir() and os.access(POD_DIRECTORY, os.W_OK):
        return POD_DIRECTORY
    shared_memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a private directory inside
    parent = shared_memory if os.access(shared_memory, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="datastorage-", dir=parent))
