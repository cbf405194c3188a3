"""A month that cannot be written to holds up its own events and no others."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

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
