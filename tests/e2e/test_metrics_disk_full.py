"""The disk of the metrics directory is full: numbers are missing, and everything else goes on."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.builders import EVENTS, an_event
from tests.support.exposition import Scrape
from tests.support.http import JSON
from tests.support.processes import descendants
from tests.support.servers import TestDatabase
from tests.support.service import ServiceProcess
from tests.support.small_disk import fill, only_root, small_file_system
from tests.support.timeline import Watched, kill
from tests.support.waiting import eventually

MISSING = "Metrics directory full, numbers of this process are missing in scrapes"
WORKERS = 2


@pytest.fixture
def service(database: TestDatabase, redis_url: str, tmp_path: Path) -> ServiceProcess:
    """One that is not started yet."""
    url = database.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
    return ServiceProcess(tmp_path, url, redis_url, SERVER_WORKERS=str(WORKERS))


@pytest.fixture
def small(service: ServiceProcess) -> Iterator[ServiceProcess]:
    """One whose runtime directory is on a disk of a megabyte."""
    with ExitStack() as stack:
        stack.enter_context(small_file_system(runtime(service), "1m"))
        stack.callback(service.stop)
        yield service


def runtime(service: ServiceProcess) -> Path:
    return service.directory / "runtime"


def serves(service: ServiceProcess) -> bool:
    statuses = {service.api.post(EVENTS, an_event()).status for _ in range(20)}
    read, scraped = service.api.get(EVENTS).status, service.metrics_api.get("/metrics").status
    return (statuses, read, scraped) == ({201}, 200, 200)


PATHS = (
    *("/api/v1/incidents", "/api/v1/incidents/x", "/api/v1/incidents/batch", "/api/v1/audit/notifications"),
    *("/api/v1/incidents/aggregate/trend", "/api/v1/incidents/aggregate/by-severity", "/api/v1/workflows"),
    *("/api/v1/success-rate/workflow", "/api/v1/success-rate/incident-type", "/api/v1/workflows/search"),
    *(f"{EVENTS}/x", f"{EVENTS}/batch", "/api/v1/workflows/x", "/api/v1/workflows/x/disable"),
)


def ask_for_new_series(service: ServiceProcess) -> None:
    """Let every worker need more room: each method, path and status has a histogram of its own."""
    for path, method, _ in itertools.product(PATHS, ("GET", "POST", "PUT"), range(8)):
        service.api.request(method, path, headers=JSON)


def warned(service: ServiceProcess) -> list[int]:
    return [line["pid"] for line in service.log_lines if line["msg"] == MISSING]


@only_root
def test_service_starts_on_a_full_disk(small: ServiceProcess) -> None:
    fill(runtime(small))

    small.start()
    workers = descendants(small.pid)

    assert serves(small)
    assert descendants(small.pid) == workers
    eventually(lambda: set(workers) <= set(warned(small)))
    assert len(warned(small)) == len(set(warned(small)))


@only_root
def test_disk_that_fills_while_serving_costs_new_series_only(small: ServiceProcess) -> None:
    small.start()
    workers = descendants(small.pid)
    assert serves(small)
    before = Scrape(small.metrics_api).value("audit_traces_total", service="gateway", status="success")

    fill(runtime(small))
    ask_for_new_series(small)

    assert serves(small)
    assert descendants(small.pid) == workers
    after = Scrape(small.metrics_api).value("audit_traces_total", service="gateway", status="success")
    assert after == before + 20
    # The worker that answers a scrape measures itself then, the others four times a minute.
    eventually(lambda: Scrape(small.metrics_api).value("metrics_unshared_series") > 0, timeout_seconds=30)


@only_root
def test_worker_that_boots_on_a_full_disk_serves(small: ServiceProcess) -> None:
    watched = Watched(small.start())
    workers = descendants(small.pid)
    fill(runtime(small))

    for victim in workers:
        kill(victim)

    eventually(lambda: len(set(descendants(small.pid)) - set(workers)) == WORKERS)
    eventually(lambda: watched.ask(EVENTS, an_event()).status == 201)
    assert serves(small)
    assert {line["msg"] for line in small.log_lines if line["level"] == "error"} <= {
        line["msg"] for line in small.log_lines if "SIGKILL" in line["msg"]
    }


def test_killed_workers_leave_their_numbers_and_no_files(service: ServiceProcess) -> None:
    with service:
        assert serves(service)
        directory = runtime(service) / "metrics"
        sizes = {files_after_a_kill(service, directory) for _ in range(5)}

        stored = Scrape(service.metrics_api).value("audit_traces_total", service="gateway", status="success")

    assert stored == 20
    assert len(sizes) == 1


def files_after_a_kill(service: ServiceProcess, directory: Path) -> int:
    before, victim = exits(service), descendants(service.pid)[0]
    kill(victim)
    eventually(lambda: not list(directory.glob(f"*_{victim}.*")))
    eventually(lambda: exits(service) == before + 1)
    eventually(lambda: len(list(directory.glob("histogram_*.db"))) == WORKERS + len(["ended"]))
    eventually(lambda: serves_reads(service))
    return len(list(directory.iterdir()))


def serves_reads(service: ServiceProcess) -> bool:
    return service.api.get(EVENTS).status == 200


def exits(service: ServiceProcess) -> float:
    return Scrape(service.metrics_api).value("worker_exits_total", reason="signal")
