"""Behind a pooler: the same answers as without, whatever it makes of start-up options."""

from pathlib import Path

import psycopg
import pytest

from tests.support.builders import EVENTS, an_event, unique
from tests.support.http import Api
from tests.support.incident_builders import INCIDENTS, an_incident
from tests.support.isolated import IsolatedService
from tests.support.pooler import PGBOUNCER, pgbouncer, refusing_options
from tests.support.service import ServiceProcess

needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")


def behind(isolated: IsolatedService, port: int, directory: Path, **settings: str) -> ServiceProcess:
    url = isolated.database.app_url.set(drivername="postgresql", host="127.0.0.1", port=port)
    redis_url = isolated.redis.url.rpartition("/")[0] + "/4"
    return ServiceProcess(directory, url.render_as_string(hide_password=False), redis_url, **settings)


def assert_same_answers(isolated: IsolatedService, api: Api) -> None:
    """Write through the pooler, and read the same bytes with it and without."""
    ours = unique()
    # More than ``prepare_threshold``, so that statements are prepared.
    created = [api.post(EVENTS, an_event(correlation_id=ours)) for _ in range(12)]
    incident = api.post(INCIDENTS, an_incident())
    paths = [f"{EVENTS}/{created[0].json['event_id']}", f"{EVENTS}?correlation_id={ours}"]
    paths += [f"{EVENTS}?correlation_id={ours}&format=ndjson", f"{INCIDENTS}/{incident.json['id']}"]

    pooled = [[api.get(path).body for path in paths] for _ in range(8)]

    assert [answer.status for answer in (*created, incident)] == [201] * 13
    assert pooled == [[isolated.api.get(path).body for path in paths]] * 8


def test_pooler_that_refuses_start_up_options_makes_no_difference(
    isolated: IsolatedService, tmp_path: Path
) -> None:
    with refusing_options(isolated.postgres.port) as port:
        # It refuses, indeed.
        url = isolated.database.app_url.set(drivername="postgresql", host="127.0.0.1", port=port)
        shown = url.render_as_string(hide_password=False)
        with pytest.raises(psycopg.OperationalError, match="unsupported startup parameter: options"):
            psycopg.connect(shown, options="-c statement_timeout=1000")

        with behind(isolated, port, tmp_path / "service") as service:
            assert_same_answers(isolated, service.api)


@needs_pgbouncer
@pytest.mark.parametrize("ignored", ["", "options"], ids=["options refused", "options dropped"])
def test_pgbouncer_in_session_mode_makes_no_difference(
    isolated: IsolatedService, tmp_path: Path, ignored: str
) -> None:
    with (
        pgbouncer(tmp_path / "pooler", isolated.database.app_url, mode="session", ignored=ignored) as pooler,
        behind(isolated, pooler.port, tmp_path / "service") as service,
    ):
        assert_same_answers(isolated, service.api)


@needs_pgbouncer
def test_pgbouncer_in_transaction_mode_needs_no_prepared_statements(
    isolated: IsolatedService, tmp_path: Path
) -> None:
    with (
        pgbouncer(tmp_path / "pooler", isolated.database.app_url, mode="transaction") as pooler,
        behind(isolated, pooler.port, tmp_path / "service", DATABASE_PREPARE_THRESHOLD="none") as service,
    ):
        assert_same_answers(isolated, service.api)


@needs_pgbouncer
def test_restart_of_pgbouncer_fails_no_request(isolated: IsolatedService, tmp_path: Path) -> None:
    with (
        pgbouncer(tmp_path / "pooler", isolated.database.app_url, mode="session") as pooler,
        behind(isolated, pooler.port, tmp_path / "service", SERVER_WORKERS="1") as service,
    ):
        assert_same_answers(isolated, service.api)
        url = isolated.database.app_url.set(drivername="postgresql", database="pgbouncer")
        shown = url.set(host="127.0.0.1", port=pooler.port).render_as_string(hide_password=False)
        with psycopg.connect(shown, autocommit=True) as admin:
            admin.execute(f"KILL {isolated.database.app_url.database}".encode())
            admin.execute(f"RESUME {isolated.database.app_url.database}".encode())

        statuses = [service.api.get(EVENTS).status, service.api.post(INCIDENTS, an_incident()).status]
        statuses.append(service.api.post(EVENTS, an_event()).status)

    assert statuses == [200, 201, 201]
