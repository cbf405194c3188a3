"""An update that loses one deadlock after another is the client's to send again."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, NullPool, create_engine, make_url, text

from tests.support.http import Answer, assert_problem
from tests.support.isolated import IsolatedService
from tests.support.waiting import eventually
from tests.support.workflow_builders import patch, path_of, register

GATE = 40_001
"""Key of the advisory lock at which every update waits while it holds its row."""
WAITING = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = :gate AND NOT granted")
ROW = text("SELECT 1 FROM remediation_workflow_catalog WHERE workflow_id = :id FOR UPDATE")


@pytest.fixture
def gate(isolated: IsolatedService) -> Iterator[None]:
    """Let every update of a workflow pass the advisory lock."""
    with isolated.owner() as owner:
        owner.execute(
            text(
                "CREATE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN PERFORM pg_advisory_xact_lock({GATE}); RETURN NEW; END $$"
            )
        )
        owner.execute(
            text(
                "CREATE TRIGGER gate BEFORE UPDATE ON remediation_workflow_catalog"
                " FOR EACH ROW EXECUTE FUNCTION pass_gate()"
            )
        )
        yield
        owner.execute(text("DROP FUNCTION pass_gate() CASCADE"))


@contextmanager
def rival(isolated: IsolatedService) -> Iterator[Connection]:
    """Hold the gate; whoever then waits for a row that is held at the gate closes a circle."""
    # Only a superuser may choose when it looks for deadlocks.
    url = make_url(isolated.postgres.url(str(isolated.database.owner_url.database)))
    engine = create_engine(url.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:gate)"), {"gate": GATE})
        connection.commit()
        yield connection
    engine.dispose()


def deadlock_until_answered(other: Connection, workflow: dict[str, Any], answered: Future[Answer]) -> int:
    """Ask for the row whenever the update is at the gate, and return how often that closed a circle."""
    circles = 0
    while not answered.done():
        eventually(lambda: answered.done() or is_at_the_gate(other))
        if not answered.done():
            # The service looks for deadlocks after a second, this session only much later: it never loses.
            other.execute(text("SET LOCAL deadlock_timeout = '30s'"))
            other.execute(ROW, {"id": workflow["workflow_id"]})
            other.rollback()
            circles += 1
    return circles


def is_at_the_gate(other: Connection) -> bool:
    """Tell whether an update waits."""
    count = other.execute(WAITING, {"gate": GATE}).scalar_one()
    other.rollback()
    return bool(count)


@pytest.mark.usefixtures("gate")
def test_update_that_loses_every_deadlock_may_be_sent_again(isolated: IsolatedService) -> None:
    workflow = register(isolated.api)
    change = {"status": "disabled"}

    with rival(isolated) as other, ThreadPoolExecutor(1) as pool:
        answered = pool.submit(patch, isolated.api, path_of(workflow), change)
        circles = deadlock_until_answered(other, workflow, answered)

    problem = assert_problem(answered.result(), 409, "deadlock")
    assert circles > 1  # it was tried again before it was given up
    assert problem["retry"] is True
    assert answered.result().headers["Retry-After"] == "1"
    assert patch(isolated.api, path_of(workflow), change).status == 200
