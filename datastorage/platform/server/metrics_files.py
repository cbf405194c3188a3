"""The mapped files in which workers share their metrics."""

import logging
import os
import tempfile
from pathlib import Path

from prometheus_client import multiprocess

from datastorage.settings import environment

logger = logging.getLogger(__name__)

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def directory() -> Path:
    """Return where the files are."""
    return Path(environment()[DIRECTORY_VARIABLE])


def empty() -> None:
    """Remove every file: counters start at zero with the arbiter, not with the volume."""
    for path in directory().glob("*.db"):
        path.unlink(missing_ok=True)


def require() -> None:
    """Make the directory again when it is gone; let this worker count for itself when it cannot be used.

    A worker without a place for its files could not start, and gunicorn would stop the whole service for
    numbers that nobody acknowledged anything on.

    Raises:
        OSError: nothing can be written anywhere.
    """
    try:
        directory().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory()):
            pass
    except OSError as error:
        logger.warning("Metrics directory not writable", extra={"reason": error.strerror})
        own = tempfile.mkdtemp(prefix="metrics-")
        os.environ[DIRECTORY_VARIABLE] = own  # noqa: TID251 - the client library reads it for every file


def forget(pid: int) -> None:
    """Remove the gauges that count living processes for one that is not."""
    multiprocess.mark_process_dead(pid, str(directory()))
