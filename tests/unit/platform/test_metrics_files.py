"""Files of metrics without room, and of processes that have ended; each process is a real one."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from datastorage.platform.metrics.files import fold

PREAMBLE = """
import os, resource
from prometheus_client import CollectorRegistry
from datastorage.platform.metrics import Metrics
from datastorage.platform.metrics.files import UNSHARED

def allow(size):
    # A process may not make a file larger than this: as good as a full disk, and anybody can have it.
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
"""

Run = Callable[[str], str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run statements in a process of its own, and return what they print."""

    def run(statements: str) -> str:
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        finished = subprocess.run(  # noqa: S603 - the script is ours
            [sys.executable, "-W", "error", "-c", f"{PREAMBLE}\n{statements}"],
            env=environment,
            # Pipes, also for what goes wrong: the limit is for files, and pytest would give it one.
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    return run


def value(directory: Path, name: str, **labels: str) -> float | None:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))
    return registry.get_sample_value(f"datastorage_{name}", labels)


def test_file_is_as_large_on_the_disk_as_it_looks(run: Run, tmp_path: Path) -> None:
    run("Metrics()")

    for path in tmp_path.glob("*.db"):
        assert path.stat().st_blocks * 512 >= path.stat().st_size


def test_without_any_room_numbers_stay_in_memory_and_no_file_is_left(run: Run, tmp_path: Path) -> None:
    shown = run(
        "allow(0); metrics = Metrics(); metrics.db_pool_timeouts.inc(3); print(UNSHARED.series > 100)"
    )

    assert shown.splitlines()[-1] == "True"
    assert list(tmp_path.iterdir()) == []


def test_file_that_cannot_grow_keeps_counting_what_it_has(run: Run, tmp_path: Path) -> None:
    run(
        "metrics = Metrics(); allow(4096); metrics.db_pool_timeouts.inc()\n"
        "for number in range(2000): metrics.partition_write_failures.labels(f'month-{number}').inc()\n"
        "metrics.db_pool_timeouts.inc(2); metrics.update_process_gauges()"
    )

    assert value(tmp_path, "db_pool_timeouts_total") == 3
    assert value(tmp_path, "partition_write_failures_total", partition="month-0") == 1
    assert value(tmp_path, "partition_write_failures_total", partition="month-1999") is None
    assert (value(tmp_path, "metrics_unshared_series") or 0) > 1000


def test_numbers_without_room_are_reported_once(run: Run) -> None:
    shown = run(
        "import logging, sys; logging.basicConfig(stream=sys.stdout); allow(0)\n"
        "metrics = Metrics(); metrics.update_process_gauges(); metrics.update_process_gauges()"
    )

    assert shown.count("Metrics directory full") == 1


def test_folded_processes_show_the_same_as_before(run: Run, tmp_path: Path) -> None:
    counting = (
        "metrics = Metrics(); metrics.db_pool_timeouts.inc({count})\n"
        "metrics.dlq_drain_duration_seconds.observe({count})\n"
        "metrics.partition_last_write_timestamp.labels('2026_01').set({count})\n"
        "metrics.db_up.set({count}); metrics.db_connections_open.set({count})\n"
        "print(os.getpid())"
    )
    pids = [int(run(counting.format(count=count)).splitlines()[-1]) for count in (1, 4, 2)]

    for pid in pids:
        assert fold(tmp_path, pid)

    assert value(tmp_path, "db_pool_timeouts_total") == 7
    assert value(tmp_path, "dlq_drain_duration_seconds_count") == 3
    assert value(tmp_path, "dlq_drain_duration_seconds_sum") == 7
    assert value(tmp_path, "dlq_drain_duration_seconds_bucket", le="2.5") == 2
    assert value(tmp_path, "partition_last_write_timestamp", partition="2026_01") == 4
    assert value(tmp_path, "db_up") == 2
    assert value(tmp_path, "db_connections_open") is None
    assert {path.name for path in tmp_path.iterdir()} == {
        "counter_ended.db",
        "histogram_ended.db",
        "gauge_max_ended.db",
        "gauge_mostrecent_ended.db",
    }


def test_nothing_is_folded_while_the_directory_is_read(run: Run, tmp_path: Path) -> None:
    pid = int(run("Metrics(); print(os.getpid())").splitlines()[-1])
    before = {path.name for path in tmp_path.iterdir()}

    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    was_folded = fold(tmp_path, pid)
    left = {path.name for path in tmp_path.iterdir()}
    os.close(descriptor)

    assert (was_folded, left) == (False, before)
    assert fold(tmp_path, pid)
