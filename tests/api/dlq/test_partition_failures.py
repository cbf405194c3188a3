"""A month that cannot be written to holds up its own events and no others."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest

from tests.api.dlq.desk import Desk
from tests.support.builders import BATCH, EVENTS, an_event
from tests.support.isolated import IsolatedService
from tests.support.waiting import eventually
from tests.support.writes import created

BROKEN, SOUND = date(2099, 12, 1), date(2099, 11, 1)


def of(month: date, **fields: Any) -> dict[str, Any]:
    return an_event(event_timestamp=f"{month:%Y-%m}-14T12:00:00Z", **fields)


def test_detached_month_holds_up_only_its_own_events(isolated: IsolatedService, desk: Desk) -> None:
    desk.make_month(SOUND)
    before = desk.scrape()
    with desk.detached(BROKEN), ThreadPoolExecutor(2) as threads:
        broken, sound = threads.map(lambda month: isolated.api.post(EVENTS, of(month)), (BROKEN, SOUND))
        batch = isolated.api.post(BATCH, [of(BROKEN), of(SOUND)])
        after = desk.scrape()
        waiting, stored = batch.json["event_ids"]
        eventually(lambda: desk.is_stored(stored))
        eventually(lambda: len(desk.parked()) == 2)
        reasons = {entry["reason"] for entry in desk.parked()}
        others = created(isolated.api, an_event())

    assert (broken.status, sound.status, others.status) == (202, 201, 201)
    assert (batch.status, batch.json["count"]) == (202, 2)
    assert reasons == {"partition_missing"}
    failures = "partition_write_failures_total"
    assert after.value(failures, partition="2099_12") > before.value(failures, partition="2099_12")
    assert after.value(failures, partition="2099_11") == before.value(failures, partition="2099_11")
    assert after.value("partition_status", partition="2099_12", status="unavailable") == 1

    assert isolated.api.post(EVENTS, of(BROKEN)).status == 201
    assert desk.scrape().value("partition_status", partition="2099_12", status="unavailable") == 0
    desk.wait_until_empty()
    for event_id in (broken.json["event_id"], waiting, stored):
        assert desk.rows(event_id=event_id) == 1
    assert desk.dead() == []


def test_batch_that_touches_a_detached_month_stores_nothing_at_once(
    isolated: IsolatedService, desk: Desk
) -> None:
    desk.make_month(SOUND)
    with desk.detached(BROKEN), desk.locked("audit_events_2099_11"):
        # Nobody can replay the event of the sound month either: what was answered is what is there.
        answer = isolated.api.post(BATCH, [of(BROKEN), of(SOUND)])
        entries = desk.entries_anywhere()

    assert answer.status == 202
    assert {entry["payload"]["event_id"] for entry in entries} == set(answer.json["event_ids"])
    desk.wait_until_empty()
    assert all(desk.is_stored(event_id) for event_id in answer.json["event_ids"])


def test_missing_month_keeps_the_service_ready(isolated: IsolatedService, desk: Desk) -> None:
    with desk.detached(BROKEN):
        assert isolated.api.post(EVENTS, of(BROKEN)).status == 202

        assert isolated.api.get("/health/ready").status == 200


def test_locked_month_is_given_up_after_the_lock_timeout(isolated: IsolatedService, desk: Desk) -> None:
    desk.make_month(SOUND)
    name = desk.make_month(BROKEN)
    with desk.locked(name), ThreadPoolExecutor(2) as threads:
        started = time.monotonic()
        broken = threads.submit(isolated.api.post, EVENTS, of(BROKEN))
        sound = isolated.api.post(EVENTS, of(SOUND))
        sound_seconds = time.monotonic() - started
        answer = broken.result()
        broken_seconds = time.monotonic() - started
        reasons = [entry["reason"] for entry in desk.entries_anywhere()]

    assert (answer.status, sound.status) == (202, 201)
    assert sound_seconds < 1
    assert 1.9 < broken_seconds < 4
    assert reasons == ["lock_timeout"]
    desk.wait_until_empty()
    assert desk.is_stored(answer.json["event_id"])


def test_write_to_a_locked_table_is_queued_within_its_budget(isolated: IsolatedService, desk: Desk) -> None:
    with isolated.locked_events():
        started = time.monotonic()
        answer = isolated.api.post(EVENTS, an_event())
        seconds = time.monotonic() - started

    assert answer.status == 202
    assert 1.9 < seconds < 5 + 3
    desk.wait_until_empty()
    assert desk.is_stored(answer.json["event_id"])


OF_ONE_MONTH = {
    "a CHECK": "ADD CONSTRAINT nothing_bad CHECK (event_action <> 'bad')",
    "a CHECK named like ours": "ADD CONSTRAINT ck_audit_events_2096_02_action CHECK (event_action <> 'bad')",
    "NOT NULL": "ALTER namespace SET NOT NULL",
    "a unique index": "ADD CONSTRAINT once UNIQUE (event_action)",
    "a foreign key": "ADD CONSTRAINT known FOREIGN KEY (event_action) REFERENCES known_actions NOT VALID",
}


@pytest.fixture
def known_actions(desk: Desk) -> Iterator[None]:
    """A table that somebody else owns, with no action in it."""
    desk.run("CREATE TABLE known_actions (action varchar(50) PRIMARY KEY)")
    yield
    desk.run("DROP TABLE known_actions")


@pytest.mark.usefixtures("known_actions")
@pytest.mark.parametrize(("number", "change"), list(enumerate(OF_ONE_MONTH.values(), 1)), ids=OF_ONE_MONTH)
def test_what_only_one_month_refuses_is_queued_until_the_month_takes_it(
    isolated: IsolatedService, desk: Desk, number: int, change: str
) -> None:
    month, event = date(2096, number, 1), {"event_action": "bad"}
    name = desk.make_month(month)
    desk.make_month(SOUND)
    if "UNIQUE" in change:
        created(isolated.api, of(month, **event))
    desk.run(f"ALTER TABLE {name} {change}")
    try:
        single = isolated.api.post(EVENTS, of(month, **event))
        batch = isolated.api.post(BATCH, [of(month, **event)])
        sound = isolated.api.post(EVENTS, of(SOUND, **event))
        eventually(lambda: {entry["reason"] for entry in desk.parked()} == {"partition_failed"})
    finally:
        desk.run(f"ALTER TABLE {name} {opposite_of(change)}")

    assert (single.status, batch.status, sound.status) == (202, 202, 201)
    desk.wait_until_empty()
    for event_id in (single.json["event_id"], *batch.json["event_ids"]):
        assert desk.is_stored(event_id)
    assert desk.dead() == []


def opposite_of(change: str) -> str:
    """Return what takes back a change of ``OF_ONE_MONTH``."""
    if change.endswith("SET NOT NULL"):
        return change.replace("SET", "DROP")
    return f"DROP CONSTRAINT {change.split()[2]}"


TRIGGERS = {
    "an exception": "RAISE EXCEPTION 'not this month'",
    "a missing table": "INSERT INTO nowhere VALUES (1)",
    "a missing column": "NEW.nothing := 1",
    "a missing right": "PERFORM pg_read_file('/etc/hostname')",
}


@pytest.mark.parametrize("body", TRIGGERS.values(), ids=TRIGGERS)
def test_trigger_of_one_month_holds_up_no_other_month(
    isolated: IsolatedService, desk: Desk, body: str
) -> None:
    name = desk.make_month(BROKEN)
    desk.make_month(SOUND)
    function = f"$$ BEGIN {body}; RETURN NEW; END $$"
    desk.run(f"CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS {function}")
    desk.run(f"CREATE TRIGGER stumble BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION stumble()")
    try:
        broken = isolated.api.post(EVENTS, of(BROKEN))
        batch = isolated.api.post(BATCH, [of(BROKEN), of(SOUND)])
        sound = isolated.api.post(EVENTS, of(SOUND))
        eventually(lambda: desk.is_stored(batch.json["event_ids"][1]))
        eventually(lambda: {entry["reason"] for entry in desk.parked()} == {"partition_failed"})
    finally:
        desk.run("DROP FUNCTION stumble() CASCADE")

    assert (broken.status, batch.status, sound.status) == (202, 202, 201)
    desk.wait_until_empty()
    assert desk.is_stored(broken.json["event_id"])
    assert desk.dead() == []
