"""A primary that is demoted, replaced or read-only for a while: writes come back at once."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import NamedTuple

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, func, make_url, select

from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.tables import audit_events
from tests.lab.proxy import Proxy
from tests.support.builders import EVENTS, an_event, unique
from tests.support.exposition import Scrape
from tests.support.http import Api
from tests.support.incident_builders import INCIDENTS, an_incident
from tests.support.isolated import IsolatedService, isolated_service
from tests.support.service import ServiceProcess
from tests.support.standby import promote, set_read_only, standby_of
from tests.support.waiting import eventually

PROMOTED_SECONDS = 2.0
WRITERS = 8
WRITES_PER_SECOND = 50
IN_A_HURRY = {
    "SERVER_WORKERS": "1",
    "REDIS_DLQ_POLL_INTERVAL": "500ms",
    "REDIS_DLQ_READ_TIMEOUT": "200ms",
}


@contextmanager
def read_only(isolated: IsolatedService) -> Iterator[None]:
    """Refuse writes to every session, those that are open included."""
    set_read_only(isolated.postgres, "on")
    try:
        yield
    finally:
        set_read_only(isolated.postgres, "off")


def renewals(api: Api, reason: str) -> float:
    return Scrape(api).value("db_connections_renewed_total", reason=reason)


def test_first_write_after_a_read_only_time_is_stored(isolated: IsolatedService) -> None:
    for _ in range(8):
        assert isolated.api.post(EVENTS, an_event()).status == 201
    before = renewals(isolated.api, "read_only")

    with read_only(isolated):
        meanwhile = [isolated.api.post(EVENTS, an_event()).status for _ in range(4)]
        incident = isolated.api.post(INCIDENTS, an_incident())
        read = isolated.api.get(EVENTS)
    afterwards = isolated.api.post(EVENTS, an_event())
    incident_afterwards = isolated.api.post(INCIDENTS, an_incident())

    assert meanwhile == [202] * 4
    assert incident.status == 503
    assert read.status == 200
    assert (afterwards.status, incident_afterwards.status) == (201, 201)
    assert renewals(isolated.api, "read_only") > before
    assert '"Database connections renewed"' in isolated.service.log


def test_connections_to_a_demoted_primary_are_given_up(isolated: IsolatedService, tmp_path: Path) -> None:
    """As behind a virtual address that moves: new connections reach the new primary, old ones stay."""
    with standby_of(isolated.postgres, tmp_path / "standby") as standby:
        proxy = Proxy(isolated.postgres.port)
        url = isolated.database.app_url.set(drivername="postgresql", host="127.0.0.1", port=proxy.port)
        shown = url.render_as_string(hide_password=False)
        # A lifetime of five minutes is what kept the old connections.
        with ServiceProcess(tmp_path / "moved", shown, isolated.redis.url, SERVER_WORKERS="1") as service:
            assert service.api.post(EVENTS, an_event()).status == 201
            promote(standby)
            with read_only(isolated):
                proxy.server_port = standby.port
                event = service.api.post(EVENTS, an_event())
                incident = service.api.post(INCIDENTS, an_incident())
                ready = service.api.get("/health/ready")
            addresses = backends(standby.url("postgres"))
        proxy.close()

    assert (event.status, incident.status, ready.status) == (201, 201, 200)
    assert addresses > 0


def backends(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'datastorage/%'"
        ).fetchone()
        assert found is not None
        return int(found[0])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[IsolatedService]:
    """Servers of this test alone: its primary does not come back."""
    with isolated_service(tmp_path / "cluster") as isolated:
        yield isolated


def test_promoted_standby_takes_the_writes_of_a_stopped_primary(
    cluster: IsolatedService, tmp_path: Path
) -> None:
    """Two hosts in the URL, fifty writes a second."""
    with standby_of(cluster.postgres, tmp_path / "standby") as standby:
        ours = unique()
        app = cluster.database.app_url
        url = (
            f"postgresql://{app.username}:{app.password}@127.0.0.1:{standby.port},"
            f"127.0.0.1:{cluster.postgres.port}/{app.database}"
        )
        # Not the queue of the other service, whose database is gone for good.
        redis_url = cluster.redis.url.rpartition("/")[0] + "/1"
        service = ServiceProcess(tmp_path / "two", url, redis_url, **IN_A_HURRY)
        with service, writing(service.api, ours) as answers:
            cluster.postgres.stop()
            eventually(lambda: answers[-1].status == 202)
            promote(standby)
            promoted_at = time.monotonic()
            eventually(lambda: answers[-1].status == 201, timeout_seconds=10)
            eventually(lambda: answers[-1].at > promoted_at + PROMOTED_SECONDS)
        with service:
            eventually(lambda: rows(standby, app.database, ours) == len(answers), timeout_seconds=40)
        cluster.postgres.start()

    first_stored_at = next(at for at, status in answers if at > promoted_at and status == 201)
    assert {status for _, status in answers} == {201, 202}
    assert first_stored_at - promoted_at < PROMOTED_SECONDS


class Written(NamedTuple):
    """When an event was acknowledged, and how."""

    at: float
    status: int


@contextmanager
def writing(api: Api, ours: str) -> Iterator[list[Written]]:
    """Write fifty events a second until the block ends; yield what was answered so far."""
    stop, answers = Event(), list[Written]()

    def write() -> None:
        while not stop.wait(WRITERS / WRITES_PER_SECOND):
            status = api.post(EVENTS, an_event(correlation_id=ours)).status
            answers.append(Written(time.monotonic(), status))

    with ThreadPoolExecutor(WRITERS) as threads:
        writers = [threads.submit(write) for _ in range(WRITERS)]
        eventually(lambda: len(answers) > WRITES_PER_SECOND)
        try:
            yield answers
        finally:
            stop.set()
    for writer in writers:
        writer.result()


def rows(server: EmbeddedPostgres, database: str | None, ours: str) -> int:
    url = make_url(server.url(str(database))).set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        wanted = select(func.count()).where(audit_events.c.correlation_id == ours)
        return int(connection.execute(wanted).scalar_one())
