"""One id is one event on the way through the queue, too."""

from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, select, text

from datastorage.tables import audit_event_ids, audit_events
from tests.api.dlq.desk import Desk
from tests.support.builders import BATCH, EVENTS, an_event, now, rfc3339
from tests.support.isolated import IsolatedService
from tests.support.writes import created

MISSING = date(2097, 9, 1)
DETACHED = date(2097, 10, 1)
SET_PURGE_GUARD = text("SELECT set_config('datastorage.purge_guard', pg_current_xact_id()::text, true)")


@pytest.fixture
def event_id() -> str:
    return str(uuid4())


def of(month: date, **fields: Any) -> dict[str, Any]:
    return an_event(event_timestamp=f"{month:%Y-%m}-14T12:00:00Z", **fields)


def dates_of(isolated: IsolatedService, event_id: str) -> list[date]:
    of_id = audit_event_ids.c.event_id == event_id
    with isolated.owner() as owner:
        return list(owner.scalars(select(audit_event_ids.c.event_date).where(of_id)))


def test_queued_event_whose_id_another_day_has_taken_meanwhile_is_a_dead_letter(
    isolated: IsolatedService, desk: Desk, event_id: str
) -> None:
    """The other one is stored through a second month: the first one waits for a month that is missing."""
    with desk.detached(MISSING):
        queued = isolated.api.post(EVENTS, of(MISSING, event_id=event_id))
        stored = created(isolated.api, an_event(event_id=event_id))
        known = dates_of(isolated, event_id)

    assert (queued.status, stored.status) == (202, 201)
    assert known == [now().date()]
    desk.wait_until_empty()
    assert [fields["reason"] for fields in desk.dead()] == [b"conflict"]
    assert desk.rows(event_id=event_id) == 1
    assert dates_of(isolated, event_id) == known


def test_events_of_two_days_queued_without_postgresql_leave_one(
    isolated: IsolatedService, desk: Desk, event_id: str
) -> None:
    isolated.postgres.stop()
    answers = [
        isolated.api.post(EVENTS, an_event(event_id=event_id, event_timestamp=rfc3339(now(days=days))))
        for days in (0, -1)
    ]
    isolated.restore()
    desk.wait_until_empty()

    assert [answer.status for answer in answers] == [202, 202]
    assert [fields["reason"] for fields in desk.dead()] == [b"conflict"]
    assert desk.row(event_id)["event_date"] == now().date()


def test_queued_event_takes_its_id_when_it_is_stored(
    isolated: IsolatedService, desk: Desk, event_id: str
) -> None:
    isolated.postgres.stop()
    chosen = isolated.api.post(EVENTS, an_event()).json["event_id"]
    isolated.api.post(EVENTS, an_event(event_id=event_id))
    isolated.restore()
    desk.wait_until_empty()

    assert [dates_of(isolated, each) for each in (chosen, event_id)] == [[now().date()]] * 2
    another_day = rfc3339(now(days=-1))
    answers = [
        isolated.api.post(EVENTS, an_event(event_id=each, event_timestamp=another_day))
        for each in (chosen, event_id)
    ]
    assert [answer.status for answer in answers] == [409, 409]


def test_event_of_a_detached_month_that_is_sent_again_waits_for_the_month(
    isolated: IsolatedService, desk: Desk, event_id: str
) -> None:
    desk.make_month(DETACHED)
    event = of(DETACHED, event_id=event_id)
    created(isolated.api, event)
    with desk.detached(DETACHED):
        again = isolated.api.post(EVENTS, event)
        batch = isolated.api.post(BATCH, [event])

    assert (again.status, batch.status) == (202, 202)
    desk.wait_until_empty()
    assert desk.rows(event_id=event_id) == 1
    assert desk.dead() == []


def test_event_that_was_purged_is_stored_when_it_is_sent_again(
    isolated: IsolatedService, desk: Desk, event_id: str
) -> None:
    event = an_event(event_id=event_id)
    created(isolated.api, event)
    with isolated.owner() as owner:
        purging = owner.execution_options(isolation_level="READ COMMITTED")
        with purging.begin():
            purging.execute(SET_PURGE_GUARD)
            purging.execute(delete(audit_events).where(audit_events.c.event_id == event_id))

    created(isolated.api, event)

    assert desk.rows(event_id=event_id) == 1
