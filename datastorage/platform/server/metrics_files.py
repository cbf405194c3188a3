"""The mapped files in which workers share their metrics."""

from pathlib import Path

from prometheus_client import multiprocess

from datastorage.settings import environment

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def directory() -> Path:
    """Return where the files are."""
    return Path(environment()[DIRECTORY_VARIABLE])


def empty() -> None:
    """Remove every file: counters start at zero with the arbiter, not with the volume."""
    for path in directory().glob("*.db"):
        path.unlink(missing_ok=True)


def forget(pid: int) -> None:
    """Remove the gauges that count living processes for one that is not."""
    multiprocess.mark_process_dead(pid, str(directory()))  # type: ignore[no-untyped-call]
