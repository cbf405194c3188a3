"""The runtime directory: small files of a running service, in memory where the platform offers it."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

POD_DIRECTORY = Path("/var/run/datastorage")


def prepare_environment() -> Path:
    """Make the runtime directory, point ``TMPDIR`` and ``PROMETHEUS_MULTIPROC_DIR`` into it, return it.

    Values that are set already win; a directory made here goes when this process ends. Must run
    before the Prometheus client is first imported: it decides then whether metrics are shared between
    processes.

    Raises:
        OSError: a directory cannot be made.
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
    made = Path(tempfile.mkdtemp(prefix="datastorage-", dir=parent))
    atexit.register(_remove, made, os.getpid())
    return made


def _remove(directory: Path, maker: int) -> None:
    # A forked worker inherits what is registered here and ends while the others still need their files.
    if os.getpid() == maker:
        shutil.rmtree(directory, ignore_errors=True)
