"""What clients see when the database is slow, busy with others, or gone; every fault is a real one."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, NullPool, create_engine, make_url, text

from tests.support.http import JSON, Answer, Api, assert_problem
from tests.support.incident_builders import AGGREGATE, BATCH, EXPORT, INCIDENTS, SUCCESS_RATE, an_incident
from tests.support.isolated import IsolatedService, isolated_service
from tests.support.waiting import eventually

MULTI = f"{SUCCESS_RATE}/multi-dimensional?incident_type=x"


@pytest.fixture(scope="module")
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IsolatedService]:
    """A service with servers of its own, impatient with aggregates."""
    directory = tmp_path_factory.mktemp("faults")
    with isolated_service(directory, DATABASE_STATEMENT_TIMEOUT="1500ms") as isolated:
        assert isolated.api.post(INCIDENTS, an_incident(incident_type="x")).json["id"] == 1
        yield isolated


@contextmanager
def session(isolated: IsolatedService) -> Iterator[Connection]:
    """Open a transaction of another program, which may do anything."""
    url = isolated.postgres.url(str(isolated.database.owner_url.database))
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@contextmanager
def locked(isolated: IsolatedService) -> Iterator[None]:
    """Let every statement on incidents wait."""
    with session(isolated) as connection:
        connection.execute(text("LOCK TABLE resource_action_traces IN ACCESS EXCLUSIVE MODE"))
        yield


def patch(api: Api) -> Answer:
    return api.request("PATCH", f"{INCIDENTS}/1", body=b'{"execution_error": "e"}', headers=JSON)


READS: list[Callable[[Api], Answer]] = [
    lambda api: api.get(INCIDENTS),
    lambda api: api.get(f"{INCIDENTS}?count=none"),
    lambda api: api.get(f"{INCIDENTS}/1"),
    lambda api: api.get(EXPORT),
    lambda api: api.get(f"{AGGREGATE}/by-namespace"),
    lambda api: api.get(f"{AGGREGATE}/by-severity"),
    lambda api: api.get(f"{AGGREGATE}/trend"),
    lambda api: api.get(f"{AGGREGATE}/success-rate?workflow_id=x"),
    lambda api: api.get(f"{SUCCESS_RATE}/incident-type?incident_type=x"),
    lambda api: api.get(f"{SUCCESS_RATE}/workflow?workflow_id=x"),
    lambda api: api.get(MULTI),
]
WRITES: list[Callable[[Api], Answer]] = [
    lambda api: api.post(INCIDENTS, an_incident()),
    lambda api: api.post(BATCH, [an_incident()]),
    patch,
]


def test_locked_table_is_a_timeout_below_the_patience_of_clients(isolated: IsolatedService) -> None:
    with locked(isolated):
        started = time.monotonic()
        answers = [ask(isolated.api) for ask in READS[:3:2]]
        seconds = time.monotonic() - started

    for answer in answers:
        assert_problem(answer, 504, "query-timeout")
    assert 7 < seconds < 10
    assert "count=none" in answers[0].json["detail"]


def test_locked_table_times_out_every_read_and_write(isolated: IsolatedService) -> None:
    with locked(isolated), ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda ask: ask(isolated.api), READS + WRITES))

    assert {answer.status for answer in answers} == {504}
    for answer in answers:
        assert_problem(answer, 504, "query-timeout")


def test_row_that_another_changes_is_waited_for(isolated: IsolatedService) -> None:
    with session(isolated) as other, ThreadPoolExecutor(1) as pool:
        other.execute(text("UPDATE resource_action_traces SET execution_error = 'theirs' WHERE id = 1"))
        ours = pool.submit(patch, isolated.api)
        eventually(lambda: waiting(isolated) == 1)
        other.commit()

        assert ours.result().json["error_message"] == "e"


def waiting(isolated: IsolatedService) -> int:
    """Count the service's sessions that wait for a lock."""
    query = """
        SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'datastorage_app'
    """
    with session(isolated) as superuser:
        return int(superuser.execute(text(query)).scalar_one())


def test_loser_of_a_deadlock_tries_again(isolated: IsolatedService) -> None:
    first, second = (an_incident(resource_name=name) for name in ("deadlock-a", "deadlock-b"))
    assert isolated.api.post(BATCH, [first, second]).status == 201
    update = "UPDATE resource_references SET last_seen = now() WHERE name = :name"

    with session(isolated) as other, ThreadPoolExecutor(1) as pool:
        other.execute(text("SET LOCAL deadlock_timeout = '10s'"))  # so that the service finds it and loses
        other.execute(text(update), {"name": "deadlock-b"})
        ours = pool.submit(
            isolated.api.post,
            BATCH,
            [an_incident(resource_name=name) for name in ("deadlock-a", "deadlock-b")],
        )
        eventually(lambda: waiting(isolated) == 1)
        other.execute(text(update), {"name": "deadlock-a"})
        other.commit()

        assert ours.result().status == 201
    assert "deadlock" not in isolated.service.log.lower()


@contextmanager
def raising(isolated: IsolatedService, sqlstate: str) -> Iterator[None]:
    """Let PostgreSQL raise ``sqlstate`` whenever the service reads or writes a trace."""
    with isolated.owner() as owner:
        owner.execute(
            text(
                "CREATE FUNCTION fail() RETURNS boolean LANGUAGE plpgsql AS"
                f" $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '{sqlstate}'; END $$"
            )
        )
        owner.execute(text("CREATE POLICY fail ON resource_action_traces USING (fail()) WITH CHECK (fail())"))
        owner.execute(text("ALTER TABLE resource_action_traces ENABLE ROW LEVEL SECURITY"))
        try:
            yield
        finally:
            owner.execute(text("ALTER TABLE resource_action_traces DISABLE ROW LEVEL SECURITY"))
            owner.execute(text("DROP POLICY fail ON resource_action_traces"))
            owner.execute(text("DROP FUNCTION fail()"))


@pytest.mark.parametrize(
    ("sqlstate", "status", "slug", "retry_after"),
    [
        ("40P01", 409, "deadlock", "1"),
        ("40001", 409, "transaction-conflict", "1"),
        ("55P03", 409, "transaction-conflict", "1"),
        ("57014", 504, "query-timeout", None),
        ("53100", 503, "service-unavailable", "2"),
        ("53300", 503, "service-unavailable", "2"),
        ("57P01", 503, "service-unavailable", "2"),
        ("XX000", 500, "internal-error", None),
    ],
)
@pytest.mark.parametrize("ask", [READS[0], READS[2], READS[3], READS[4], READS[10], WRITES[0], WRITES[2]])
def test_fault_of_the_database_has_its_answer(  # noqa: PLR0913, PLR0917 - one row of a table
    isolated: IsolatedService,
    sqlstate: str,
    status: int,
    slug: str,
    retry_after: str | None,
    ask: Callable[[Api], Answer],
) -> None:
    with raising(isolated, sqlstate):
        answer = ask(isolated.api)

    problem = assert_problem(answer, status, slug)
    assert answer.headers.get("Retry-After") == retry_after
    assert "as asked" not in problem["detail"]


def test_more_requests_than_connections_wait_their_turn(isolated: IsolatedService) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda number: (READS + WRITES)[number % 14](isolated.api), range(100)))

    assert {answer.status for answer in answers} <= {200, 201, 429}


def test_stopped_database_is_unavailable_and_names_no_host(isolated: IsolatedService) -> None:
    isolated.postgres.kill()
    try:
        answers = [ask(isolated.api) for ask in READS + WRITES]
    finally:
        isolated.restore()

    for answer in answers:
        problem = assert_problem(answer, 503, "service-unavailable")
        assert answer.headers["Retry-After"] == "2"
        assert "127.0.0.1" not in answer.body.decode()
        assert str(isolated.postgres.port) not in problem["detail"]
    assert isolated.api.get(INCIDENTS).status == 200


def test_reads_are_measured_by_operation_and_outcome(isolated: IsolatedService) -> None:
    def count(operation: str, status: str) -> float:
        name = f'datastorage_query_total{{operation="{operation}",status="{status}"}}'
        exposition = isolated.service.metrics_api.get("/metrics").body.decode()
        return next(
            (float(line.split()[-1]) for line in exposition.splitlines() if line.startswith(name)), 0.0
        )

    before = [count(*labels) for labels in LABELS]
    isolated.api.get(INCIDENTS)
    isolated.api.get(f"{INCIDENTS}/1")
    isolated.api.get(EXPORT)
    isolated.api.get(f"{INCIDENTS}?limit=0")
    with raising(isolated, "40P01"):
        isolated.api.get(MULTI)

    assert [count(*labels) - was for labels, was in zip(LABELS, before, strict=True)] == [1, 0, 1, 1, 1]


LABELS = [
    ("list", "success"),
    ("list", "failure"),
    ("get", "success"),
    ("export", "success"),
    ("aggregate", "failure"),
]
