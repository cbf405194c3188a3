"""One shutdown with the default delays, watched from T to the exit; every test reads the same record."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from tests.support.builders import EVENTS, an_event
from tests.support.exposition import Scrape
from tests.support.http import Api
from tests.support.processes import descendants
from tests.support.service import ServiceProcess
from tests.support.timeline import Reply, Watched, listens
from tests.support.waiting import eventually

DEFAULT_DELAYS = {"SERVER_ENDPOINT_PROPAGATION_DELAY": "5s", "LOGGING_LEVEL": "debug"}
WORKFLOWS = "/api/v1/workflows"
LOCKED = "remediation_workflow_catalog"
CLIENTS = 20


class PlainGunicorn(ServiceProcess):
    """The service as gunicorn's own command starts it."""

    arguments = ("-m", "gunicorn", "-c", "python:datastorage.gunicorn_conf")


@dataclass
class Record:
    """What happened; times are seconds after the signal."""

    watched: Watched
    workers: list[int]
    flag_seen_at: float = 0.0
    ready_at_once: list[Reply] = field(default_factory=list)
    ready_on_old_connection: Reply | None = None
    answering: Reply | None = None
    alive: list[Reply] = field(default_factory=list)
    steady: list[Reply] = field(default_factory=list)
    refused_after_seconds: float = 0.0
    kept: list[Reply] = field(default_factory=list)
    began_before: Reply | None = None
    began_in_wait: Reply | None = None
    shutting_down: list[float] = field(default_factory=list)


@pytest.fixture(scope="module")
def records(
    service: ServiceProcess, owner_engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Record]]:
    """The same shutdown of two services at once: our command and gunicorn's."""
    commands = {"serve": ServiceProcess, "gunicorn -c": PlainGunicorn}
    services = {
        name: command(
            tmp_path_factory.mktemp("watched"), service.database_url, service.redis_url, **DEFAULT_DELAYS
        )
        for name, command in commands.items()
    }
    try:
        for each in services.values():
            each.launch()
        for each in services.values():
            each.wait_for("/health/ready")
        with ThreadPoolExecutor(200) as pool:
            yield _watch(services, owner_engine, pool)
    finally:
        for each in services.values():
            each.stop()


def _watch(
    services: dict[str, ServiceProcess], engine: Engine, pool: ThreadPoolExecutor
) -> dict[str, Record]:
    in_transactions = engine.execution_options(isolation_level="READ COMMITTED")
    with in_transactions.connect() as connection:
        transaction = connection.begin()
        connection.execute(text(f"LOCK TABLE {LOCKED} IN ACCESS EXCLUSIVE MODE"))
        observing = {name: pool.submit(_observe, each, pool) for name, each in services.items()}
        # Whoever reads the catalogue waits from here on; they are let go 8.7 s after the later signal.
        watched = {name: future.result() for name, future in observing.items()}
        max(watched.values(), key=lambda each: each.record.watched.began).record.watched.wait_until(8.7)
        transaction.rollback()
    return {name: each.collect() for name, each in watched.items()}


class Observation:
    """The clients of one service while it shuts down."""

    def __init__(self, record: Record, pool: ThreadPoolExecutor) -> None:
        self.record = record
        self._pool = pool
        self._running: dict[str, Future[Any]] = {}
        self._kept: list[Future[list[Reply]]] = []

    def start(self, name: str, ask: Callable[[], Any]) -> None:
        self._running[name] = self._pool.submit(ask)

    def start_keeping(self, until: float) -> None:
        watched = self.record.watched
        for _ in range(CLIENTS):
            ask = lambda: watched.ask_on_one(0.25, EVENTS, until=until, body=an_event)  # noqa: E731 - a closure
            self._kept.append(self._pool.submit(ask))

    def collect(self) -> Record:
        for name, future in self._running.items():
            setattr(self.record, name, future.result())
        self.record.kept = [reply for future in self._kept for reply in future.result()]
        return self.record


def _observe(service: ServiceProcess, pool: ThreadPoolExecutor) -> Observation:
    eventually(lambda: len(descendants(service.pid)) == 2)
    record = Record(Watched(service), descendants(service.pid))
    watched, observation = record.watched, Observation(record, pool)
    old_connection = watched.connect()
    assert watched.ask_on(old_connection, "/health/ready").status == 200
    record.shutting_down.append(Scrape(Api(service.metrics_api.url)).value("shutting_down"))
    observation.start_keeping(until=4.9)
    observation.start("began_before", lambda: watched.ask(WORKFLOWS))
    eventually(lambda: Scrape(service.metrics_api).value("http_requests_in_flight") >= 1)

    watched.signal(signal.SIGTERM)
    eventually(lambda: watched.ask("/health/ready").status == 503)
    record.flag_seen_at = watched.elapsed
    at_once = [pool.submit(watched.ask, path) for path in ("/health/ready", "/readyz") * 20]
    record.answering = watched.ask("/healthz")
    record.ready_on_old_connection = watched.ask_on(old_connection, "/health/ready")
    old_connection.close()
    record.ready_at_once = [future.result() for future in at_once]
    _go_on(record, observation)
    return observation


def _go_on(record: Record, observation: Observation) -> None:
    watched, service = record.watched, record.watched.service
    observation.start("alive", lambda: watched.ask_every(0.25, "/health/live", until=4.9))
    observation.start("steady", lambda: watched.ask_every(0.25, EVENTS, until=6.5, body=an_event))
    watched.wait_until(1.0)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTTIN):
        service.signal(number)
    record.shutting_down.append(Scrape(Api(service.metrics_api.url)).value("shutting_down"))
    watched.wait_until(4.7)
    observation.start("began_in_wait", lambda: watched.ask(WORKFLOWS))
    watched.wait_until(5.6)
    asked = watched.elapsed
    assert not listens(service.port)
    record.refused_after_seconds = watched.elapsed - asked
    observation.start("_ended", watched.end)


@pytest.fixture(params=["serve", "gunicorn -c"])
def record(request: pytest.FixtureRequest, records: dict[str, Record]) -> Record:
    """What happened to the service that this command started."""
    return records[request.param]


def test_readiness_is_503_in_every_worker_at_once(record: Record) -> None:
    assert [reply.status for reply in record.ready_at_once] == [503] * 40
    assert (
        record.ready_at_once[1].body
        == record.ready_at_once[0].body
        == {
            "status": "shutting_down",
            "reason": "graceful_shutdown_in_progress",
        }
    )
    assert record.flag_seen_at < 0.5
    served = {line["pid"] for line in record.watched.service.log_lines if line.get("status") == 503}
    assert served == set(record.workers)


def test_connection_opened_before_the_signal_learns_it_too(record: Record) -> None:
    assert record.ready_on_old_connection is not None
    assert record.ready_on_old_connection.status == 503
    assert record.ready_on_old_connection.connection == "close"


def test_liveness_stays(record: Record) -> None:
    assert record.answering is not None
    assert record.answering.status == 200
    assert {reply.status for reply in record.alive} == {200}
    assert record.alive[0].body == {"status": "alive"}
    assert record.alive[-1].sent_at > 4.5


def test_new_requests_succeed_for_five_seconds_and_are_then_refused(record: Record) -> None:
    in_time = [reply for reply in record.steady if reply.sent_at < 4.95]
    too_late = [reply for reply in record.steady if reply.sent_at > 5.5]

    assert {reply.status for reply in in_time} == {201}
    assert len(in_time) >= 15
    assert {reply.error for reply in too_late} == {"ConnectionRefusedError"}
    assert max(reply.took_seconds for reply in too_late) < 0.5
    assert record.refused_after_seconds < 0.5


def test_clients_that_keep_their_connections_see_no_failure(record: Record) -> None:
    after = [reply for reply in record.kept if reply.sent_at > 0]

    assert {reply.status for reply in record.kept} == {201}
    assert len(after) > 100
    assert {reply.connection for reply in after} == {"close"}


def test_request_that_was_running_completes(record: Record) -> None:
    assert record.began_before is not None
    assert record.began_before.status == 200
    assert record.began_before.sent_at < 0
    assert record.began_before.took_seconds > 8


def test_request_that_came_at_the_end_of_the_wait_completes(record: Record) -> None:
    assert record.began_in_wait is not None
    assert record.began_in_wait.status == 200
    assert record.began_in_wait.sent_at == pytest.approx(4.7, abs=0.25)
    assert record.began_in_wait.took_seconds > 3


def test_wait_lasts_five_seconds_although_signals_are_repeated(record: Record) -> None:
    ended = record.watched.said_at("Endpoint removal propagation complete - no new traffic expected")

    assert 5.0 <= ended <= 5.5
    [repeated] = record.watched.said("Repeated shutdown signal ignored")
    assert (repeated["level"], repeated["signal"]) == ("warn", "SIGTERM")
    assert repeated["elapsed_seconds"] < 2


def test_reload_is_ignored_during_the_shutdown(record: Record) -> None:
    [ignored] = record.watched.said("Reload ignored during shutdown")

    assert ignored["signal"] == "SIGHUP"
    started = [line for line in record.watched.service.log_lines if "Booting worker" in line["msg"]]
    assert len(started) == 2


def test_metric_tells_that_a_shutdown_has_begun(record: Record) -> None:
    assert record.shutting_down == [0.0, 1.0]


def test_process_ends_with_code_zero_when_the_last_request_has(record: Record) -> None:
    assert record.watched.exit_code == 0
    assert 8.7 < record.watched.ended_at < 12


def test_log_tells_every_step_in_order(record: Record) -> None:
    lines = [line for line in record.watched.service.log_lines if "shutdown_id" in line]
    told = [line for line in lines if line["msg"] in STEPS]

    assert [line["msg"] for line in told] == STEPS
    assert {line["level"] for line in told} == {"info"}
    assert {line["shutdown_id"] for line in lines} == {lines[0]["shutdown_id"]}
    times = [line["elapsed_seconds"] for line in told]
    assert times == sorted(times)
    assert record.watched.service.log_lines[-1]["msg"] == "Server shutdown complete"
    by_message = {line["msg"]: line for line in told}
    for message, fields in FIELDS.items():
        assert {name: by_message[message][name] for name in fields} == fields
    assert by_message["HTTP connections drained successfully"]["drained_requests"] == 2
    assert 3 < by_message["HTTP connections drained successfully"]["duration"] < 7


def test_no_connection_to_the_database_is_left(record: Record, owner: Connection) -> None:
    names = list(owner.scalars(text("SELECT application_name FROM pg_stat_activity")))

    pids = {str(line["pid"]) for line in record.watched.service.log_lines}
    assert not [name for name in names if name.rpartition("/")[2] in pids]


STEPS = [
    "Shutdown signal received",
    "Initiating Kubernetes-aware graceful shutdown (DD-007)",
    "Shutdown flag set - readiness probe now returns 503",
    "Waiting for Kubernetes endpoint removal propagation",
    "Endpoint removal propagation complete - no new traffic expected",
    "Draining in-flight HTTP connections",
    "HTTP connections drained successfully",
    "Starting DLQ drain for graceful shutdown",
    "DLQ drain complete",
    "Closing database connections",
    "Database connections closed successfully",
    "Closing Redis connections",
    "Redis connections closed successfully",
    "Graceful shutdown complete - all resources closed",
    "Server shutdown complete",
]

FIELDS: dict[str, dict[str, object]] = {
    "Shutdown signal received": {"signal": "SIGTERM"},
    "Initiating Kubernetes-aware graceful shutdown (DD-007)": {
        "propagation_delay": 5.0,
        "drain_timeout": 30.0,
        "dlq_drain_timeout": 10.0,
        "total_budget": 38.0,
    },
    "Shutdown flag set - readiness probe now returns 503": {
        "effect": "kubernetes_will_remove_from_endpoints"
    },
    "Waiting for Kubernetes endpoint removal propagation": {"delay": 5.0, "reason": "ensure_no_new_traffic"},
    "Draining in-flight HTTP connections": {"max_wait": 30, "in_flight": 2},
    "DLQ drain complete": {"errors": 0, "timed_out": False},
}
