"""Shutdowns that end otherwise: quickly, by force, without a database, at the very start. All at once."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest
from sqlalchemy import Connection, Engine, text

from tests.support.builders import NOTIFICATIONS, a_notification
from tests.support.exposition import Scrape
from tests.support.processes import descendants
from tests.support.service import ServiceProcess
from tests.support.timeline import Reply, Watched, kill
from tests.support.waiting import eventually

WORKFLOWS = "/api/v1/workflows"
SLOW = "remediation_workflow_catalog"
NOWHERE = "127.0.0.1:1"
REAL_DELAY = {"SERVER_ENDPOINT_PROPAGATION_DELAY": "5s"}
QUEUED = 5


@dataclass
class Record:
    """How one service ended."""

    watched: Watched
    engine: Engine
    reply: Reply | None = None
    second_at: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int | None:
        return self.watched.exit_code

    @property
    def ended_at(self) -> float:
        return self.watched.ended_at


Ending = Callable[[Record, ThreadPoolExecutor], None]


def idle(record: Record, _pool: ThreadPoolExecutor) -> None:
    record.watched.service.api.close()
    record.watched.signal(signal.SIGTERM)


def unused_connections(record: Record, _pool: ThreadPoolExecutor) -> None:
    connections = [record.watched.connect() for _ in range(5)]
    for each in connections:
        each.connect()
    record.watched.signal(signal.SIGTERM)
    record.watched.end()
    for each in connections:
        each.close()


def interrupted_once(record: Record, _pool: ThreadPoolExecutor) -> None:
    record.watched.service.api.close()
    # A terminal sends Ctrl-C to every process of the group.
    record.watched.signal(signal.SIGINT, everybody=True)
    record.facts["ready"] = [record.watched.ask("/health/ready").status for _ in range(5)]
    record.facts["alive"] = [record.watched.ask("/health/live").status for _ in range(5)]


def interrupted_twice(record: Record, _pool: ThreadPoolExecutor) -> None:
    record.watched.signal(signal.SIGINT)
    eventually(lambda: bool(record.watched.said("Waiting for Kubernetes endpoint removal propagation")))
    record.second_at = record.watched.elapsed
    record.watched.service.signal(signal.SIGINT)


def interrupted_while_draining(record: Record, pool: ThreadPoolExecutor) -> None:
    request = a_running_request(record, pool)
    record.watched.signal(signal.SIGTERM)
    eventually(lambda: bool(record.watched.said("Draining in-flight HTTP connections")))
    record.watched.service.signal(signal.SIGTERM)
    eventually(lambda: bool(record.watched.said("Repeated shutdown signal ignored")))
    record.second_at = record.watched.elapsed
    record.watched.service.signal(signal.SIGQUIT)
    record.reply = request.result()


def quit_while_busy(record: Record, pool: ThreadPoolExecutor) -> None:
    request = a_running_request(record, pool)
    record.watched.signal(signal.SIGQUIT)
    record.reply = request.result()


def cut_off(record: Record, pool: ThreadPoolExecutor) -> None:
    request = a_running_request(record, pool)
    record.watched.signal(signal.SIGTERM)
    record.reply = request.result()


def frozen_while_draining(record: Record, pool: ThreadPoolExecutor) -> None:
    a_running_request(record, pool)
    record.watched.signal(signal.SIGTERM)
    eventually(lambda: bool(record.watched.said("Draining in-flight HTTP connections")))
    record.watched.service.signal(signal.SIGSTOP)
    record.watched.wait_until(3.0)
    record.facts["workers"] = descendants(record.watched.service.pid)
    record.watched.service.signal(signal.SIGCONT)


def workers_killed(record: Record, _pool: ThreadPoolExecutor) -> None:
    service = record.watched.service
    before = set(descendants(service.pid))
    record.watched.signal(signal.SIGTERM)
    record.watched.wait_until(1.0)
    for pid in before:
        kill(pid)
    eventually(lambda: len(set(descendants(service.pid)) - before) == 2)
    eventually(lambda: record.watched.ask("/health/ready").status is not None)
    record.facts["ready"] = [record.watched.ask("/health/ready").status for _ in range(20)]
    record.facts["asked_until"] = record.watched.elapsed


def queued(record: Record, pool: ThreadPoolExecutor) -> None:
    notifications = record.facts["notifications"] = [a_notification() for _ in range(QUEUED)]
    with locked(record.engine, "notification_audit"):
        replies = pool.map(lambda each: record.watched.ask(NOTIFICATIONS, each), notifications)
        record.facts["accepted"] = [reply.status for reply in replies]
    record.watched.signal(signal.SIGTERM)


def without_database(record: Record, _pool: ThreadPoolExecutor) -> None:
    record.facts["accepted"] = [record.watched.ask(NOTIFICATIONS, a_notification()).status]
    record.watched.signal(signal.SIGTERM)


def while_starting(record: Record, _pool: ThreadPoolExecutor) -> None:
    record.watched.service.launch()
    eventually(lambda: "Listening at" in record.watched.service.log)
    record.watched.signal(signal.SIGTERM)


def a_running_request(record: Record, pool: ThreadPoolExecutor) -> Any:
    request = pool.submit(record.watched.ask, WORKFLOWS)
    metrics = record.watched.service.metrics_api
    eventually(lambda: Scrape(metrics).value("http_requests_in_flight") >= 1)
    return request


ONE = {"SERVER_WORKERS": "1"}
REDIS_DB = {"queued": 7, "without_database": 8}
ENDINGS: dict[Ending, dict[str, str]] = {
    idle: REAL_DELAY,
    unused_connections: REAL_DELAY | ONE,
    interrupted_once: {"SERVER_ENDPOINT_PROPAGATION_DELAY": "1s"},
    interrupted_twice: REAL_DELAY | ONE,
    interrupted_while_draining: ONE,
    quit_while_busy: REAL_DELAY | ONE,
    cut_off: {"SERVER_ENDPOINT_PROPAGATION_DELAY": "1s", "SERVER_SHUTDOWN_TIMEOUT": "2s"} | ONE,
    frozen_while_draining: {"SERVER_SHUTDOWN_TOTAL_BUDGET": "1s"} | ONE,
    workers_killed: REAL_DELAY,
    queued: {"REDIS_DLQ_POLL_INTERVAL": "10m", "REDIS_DLQ_READ_TIMEOUT": "10ms"}
    | {"DATABASE_WRITE_LOCK_TIMEOUT": "200ms"}
    | ONE,
    without_database: ONE,
    while_starting: REAL_DELAY,
}


@pytest.fixture(scope="module")
def endings(
    service: ServiceProcess, owner_engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Record]]:
    """Every ending, side by side; whoever reads the catalogue of workflows waits until all are over."""
    records = {
        ending.__name__: Record(Watched(_service(ending, service, tmp_path_factory)), owner_engine)
        for ending in ENDINGS
    }
    try:
        with locked(owner_engine, SLOW), ThreadPoolExecutor(100) as pool:
            running = [pool.submit(_run, ending, records[ending.__name__], pool) for ending in ENDINGS]
            for each in running:
                each.result()
        yield records
    finally:
        for record in records.values():
            record.watched.service.stop()


def _service(
    ending: Ending, shared: ServiceProcess, tmp_path_factory: pytest.TempPathFactory
) -> ServiceProcess:
    directory = tmp_path_factory.mktemp(ending.__name__)
    database_url = (
        shared.database_url if ending is not without_database else f"postgresql://app@{NOWHERE}/none"
    )
    redis_url = f"{shared.redis_url.rpartition('/')[0]}/{REDIS_DB.get(ending.__name__, 0)}"
    return ServiceProcess(directory, database_url, redis_url, **ENDINGS[ending])


def _run(ending: Ending, record: Record, pool: ThreadPoolExecutor) -> None:
    service = record.watched.service
    if ending is not while_starting:
        service.launch()
        service.wait_for("/health/live" if ending is without_database else "/health/ready")
        eventually(lambda: len(descendants(service.pid)) == (1 if "SERVER_WORKERS" in ENDINGS[ending] else 2))
    ending(record, pool)
    if record.exit_code is None:
        record.watched.end()


@contextmanager
def locked(engine: Engine, table: str) -> Iterator[None]:
    """Let everybody who wants ``table`` wait until the block ends."""
    in_transactions = engine.execution_options(isolation_level="READ COMMITTED")
    with in_transactions.begin() as connection:
        connection.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        yield


def test_idle_service_with_an_empty_queue_ends_soon_after_the_wait(endings: dict[str, Record]) -> None:
    record = endings["idle"]

    assert record.exit_code == 0
    assert 5.0 <= record.ended_at <= 8
    assert record.watched.service.log_lines[-1]["msg"] == "Server shutdown complete"


def test_connections_on_which_nothing_is_sent_hold_it_up_for_seconds_only(
    endings: dict[str, Record],
) -> None:
    record = endings["unused_connections"]

    assert record.exit_code == 0
    assert record.ended_at < 12


def test_interrupt_of_the_whole_terminal_is_a_graceful_shutdown(endings: dict[str, Record]) -> None:
    record = endings["interrupted_once"]

    assert record.exit_code == 0
    assert record.facts["alive"] == [200] * 5
    assert record.watched.said("Shutdown signal received")[0]["signal"] == "SIGINT"
    assert 1.0 <= record.watched.said_at("Draining in-flight HTTP connections") < 1.5
    assert record.watched.said("HTTP connections drained successfully")


def test_second_interrupt_stops_at_once(endings: dict[str, Record]) -> None:
    record = endings["interrupted_twice"]

    assert record.second_at < 4
    assert record.ended_at - record.second_at < 3
    assert not record.watched.said("Endpoint removal propagation complete - no new traffic expected")


def test_quit_during_the_drain_stops_at_once(endings: dict[str, Record]) -> None:
    record = endings["interrupted_while_draining"]

    assert record.ended_at - record.second_at < 4
    assert record.exit_code == 1
    assert record.reply is not None
    assert record.reply.error is not None


def test_quit_stops_a_busy_service_by_force(endings: dict[str, Record]) -> None:
    record = endings["quit_while_busy"]

    assert record.exit_code == 1
    assert record.ended_at < 4
    [drain] = record.watched.said("Starting DLQ drain for graceful shutdown")
    assert drain["timeout"] <= 1
    assert record.watched.said("Graceful shutdown failed")[0]["reasons"] == ["http_drain_timeout"]


def test_request_beyond_the_cap_is_cut_and_named(endings: dict[str, Record]) -> None:
    record = endings["cut_off"]

    assert record.reply is not None
    assert record.reply.error is not None
    assert record.reply.sent_at + record.reply.took_seconds == pytest.approx(3, abs=0.7)
    [timed_out] = record.watched.said("HTTP drain timed out")
    assert (timed_out["level"], timed_out["killed_workers"], timed_out["in_flight"]) == ("error", 1, 1)
    [named] = record.watched.said("Request still running at the end of the drain")
    assert (named["level"], named["method"], named["route"]) == ("error", "GET", WORKFLOWS)
    assert record.watched.said("DLQ drain complete")
    assert record.exit_code == 1
    assert record.watched.service.log_lines[-1]["msg"] == "Graceful shutdown failed"


def test_watchdog_ends_what_hangs(endings: dict[str, Record]) -> None:
    record = endings["frozen_while_draining"]

    assert record.exit_code == 1
    assert record.ended_at < 4
    assert "watchdog" in record.watched.said("Graceful shutdown failed")[0]["reasons"]
    assert not [worker for worker in record.facts["workers"] if psutil.pid_exists(worker)]


def test_workers_that_die_during_the_wait_are_replaced_and_not_ready(endings: dict[str, Record]) -> None:
    record = endings["workers_killed"]

    assert record.facts["asked_until"] < 5
    assert record.facts["ready"] == [503] * 20
    assert record.exit_code == 0
    assert 5.0 <= record.watched.said_at("Draining in-flight HTTP connections") < 5.5


def test_queued_notifications_are_stored_at_the_end(endings: dict[str, Record], owner: Connection) -> None:
    record = endings["queued"]

    assert record.facts["accepted"] == [202] * QUEUED
    ids = [each["notification_id"] for each in record.facts["notifications"]]
    query = text("SELECT count(*) FROM notification_audit WHERE notification_id = ANY(:ids)")
    assert owner.scalar(query, {"ids": ids}) == QUEUED
    [drained] = record.watched.said("DLQ drain complete")
    assert (drained["notifications_processed"], drained["remaining_notifications"]) == (QUEUED, 0)
    assert record.exit_code == 0
    assert record.ended_at < 20


def test_database_that_is_down_costs_no_exit_code_and_no_record(endings: dict[str, Record]) -> None:
    record = endings["without_database"]

    assert record.facts["accepted"] == [202]
    [skipped] = record.watched.said("DLQ drain skipped")
    assert (skipped["reason"], skipped["depth_notifications"]) == ("database unreachable", 1)
    assert record.exit_code == 0


def test_signal_during_the_start_takes_all_steps(endings: dict[str, Record]) -> None:
    record = endings["while_starting"]

    assert record.exit_code == 0
    assert record.ended_at <= 8
    assert record.watched.said_at("Endpoint removal propagation complete - no new traffic expected") >= 5
    assert record.watched.said("HTTP connections drained successfully")
