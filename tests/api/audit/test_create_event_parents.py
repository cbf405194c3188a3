"""``POST /api/v1/audit/events``: a parent has to be stored, and the foreign key knows it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, insert, text
from sqlalchemy.exc import IntegrityError

from datastorage.tables import audit_events
from tests.support.builders import EVENTS, an_event, now, rfc3339
from tests.support.event_rows import an_event_row
from tests.support.http import Api, assert_problem
from tests.support.stored import count_events, stored_event
from tests.support.writes import created, read_again

UNKNOWN_PARENT = "11111111-2222-4333-8444-555555555555"


THREE_DAYS_AGO = rfc3339(now(days=-3))
TWO_DAYS_AGO = rfc3339(now(days=-2))
YESTERDAY = rfc3339(now(days=-1))


@pytest.fixture
def parent_id(api: Api) -> str:
    """An event of three days ago."""
    event_id: str = created(api, an_event(event_timestamp=THREE_DAYS_AGO)).json["event_id"]
    return event_id


def test_child_knows_the_date_of_its_parent(api: Api, parent_id: str) -> None:
    members = read_again(api, an_event(parent_event_id=parent_id.upper()))

    assert members["parent_event_id"] == parent_id
    assert members["parent_event_date"] == THREE_DAYS_AGO[:10]


@pytest.mark.parametrize(
    "hint",
    [THREE_DAYS_AGO[:10], THREE_DAYS_AGO, YESTERDAY[:10], "2026-01-14T08:12:45+01:00", "", None],
    ids=["its-date", "its-instant", "another-date", "another-instant", "blank", "null"],
)
def test_date_sent_with_a_parent_is_only_a_hint(api: Api, parent_id: str, hint: str | None) -> None:
    members = read_again(api, an_event(parent_event_id=parent_id, parent_event_date=hint))

    assert members["parent_event_date"] == THREE_DAYS_AGO[:10]


def test_date_without_a_parent_is_ignored(api: Api, owner: Connection) -> None:
    event = an_event(parent_event_date="2026-01-14")

    created(api, event)

    row = stored_event(owner, event["correlation_id"])
    assert (row.parent_event_id, row.parent_event_date) == (None, None)


@pytest.fixture
def parent_of_two_days(owner: Connection) -> str:
    """An id under which events of the last two days are stored, by a release that took it for two."""
    event_id = uuid4()
    for days in (-2, -1):
        owner.execute(insert(audit_events), an_event_row(event_id=event_id, event_timestamp=now(days=days)))
    return str(event_id)


def test_latest_of_several_parents_counts(api: Api, parent_of_two_days: str) -> None:
    members = read_again(api, an_event(parent_event_id=parent_of_two_days))

    assert members["parent_event_date"] == YESTERDAY[:10]


def test_hint_chooses_among_several_parents(api: Api, parent_of_two_days: str) -> None:
    event = an_event(parent_event_id=parent_of_two_days, parent_event_date=TWO_DAYS_AGO)

    assert read_again(api, event)["parent_event_date"] == TWO_DAYS_AGO[:10]


def test_child_may_be_older_than_its_parent(api: Api, parent_id: str) -> None:
    event = an_event(parent_event_id=parent_id, event_timestamp=rfc3339(now(days=-5)))

    assert read_again(api, event)["parent_event_id"] == parent_id


def test_unknown_parent_is_refused(api: Api, owner: Connection) -> None:
    event = an_event(parent_event_id=UNKNOWN_PARENT)

    problem = assert_problem(api.post(EVENTS, event), 400, "validation-error")

    assert problem["field_errors"] == {"parent_event_id": "parent event does not exist"}
    assert "parent event does not exist" in problem["detail"]
    assert problem["resource"] == "audit_event"
    assert count_events(owner, event["correlation_id"]) == 0


def test_event_cannot_be_its_own_parent(api: Api, owner: Connection) -> None:
    event_id = str(uuid4())
    event = an_event(event_id=event_id, parent_event_id=event_id)

    problem = assert_problem(api.post(EVENTS, event), 400, "validation-error")

    assert problem["field_errors"] == {"parent_event_id": "parent event does not exist"}
    assert count_events(owner, event["correlation_id"]) == 0


@pytest.mark.parametrize("value", ["00000000-0000-0000-0000-000000000000", "", None], ids=repr)
def test_nil_or_blank_parent_means_none(api: Api, value: Any) -> None:
    assert read_again(api, an_event(parent_event_id=value))["parent_event_id"] is None


def test_child_sent_again_is_stored_once(api: Api, parent_id: str) -> None:
    event = an_event(event_id=str(uuid4()), parent_event_id=parent_id)
    created(api, event)

    assert api.post(EVENTS, event).status == 200


def test_child_sent_again_under_another_parent_is_a_conflict(api: Api, parent_id: str) -> None:
    event = an_event(event_id=str(uuid4()), parent_event_id=parent_id)
    created(api, event)

    other = created(api, an_event()).json["event_id"]

    assert_problem(api.post(EVENTS, event | {"parent_event_id": other}), 409, "conflict")


@contextmanager
def purge(owner_engine: Engine) -> Iterator[Connection]:
    """Open a transaction in which the schema owner may delete, as retention jobs do."""
    with owner_engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
        connection.execute(
            text("SELECT set_config('datastorage.purge_guard', pg_current_xact_id()::text, true)")
        )
        yield connection


def test_parent_of_a_stored_child_cannot_be_purged(api: Api, owner_engine: Engine, parent_id: str) -> None:
    created(api, an_event(parent_event_id=parent_id))

    with pytest.raises(IntegrityError, match="foreign key"), purge(owner_engine) as connection:
        connection.execute(text("DELETE FROM audit_events WHERE event_id = :id"), {"id": parent_id})
