"""``event_id`` names one event, whatever its date: alone, in a batch, and for many writers at once."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, func, insert, select

from datastorage.tables import audit_event_ids, audit_events
from tests.support.builders import BATCH, EVENTS, an_event, now, rfc3339, unique
from tests.support.event_rows import an_event_row
from tests.support.http import Answer, Api, assert_problem
from tests.support.started import StartService
from tests.support.stored import count_events, stored_event
from tests.support.writes import batch_created, created

CLIENTS = 16
IDS = 100


@pytest.fixture
def event_id() -> str:
    return str(uuid4())


def noon(days: int = 0) -> datetime:
    """Return noon of a day that lies back by ``days``."""
    return now(days=-1 - days).replace(hour=12, minute=0, second=0, microsecond=0)


def at(instant: datetime, event_id: str, **fields: Any) -> dict[str, Any]:
    return an_event(event_id=event_id, event_timestamp=rfc3339(instant), **fields)


def dates_of(owner: Connection, event_id: str) -> list[Any]:
    """Return the dates for which ``audit_event_ids`` has an id."""
    of_id = audit_event_ids.c.event_id == event_id
    return list(owner.scalars(select(audit_event_ids.c.event_date).where(of_id)))


def count_of(owner: Connection, event_id: str) -> int:
    of_id = audit_events.c.event_id == event_id
    return owner.execute(select(func.count()).select_from(audit_events).where(of_id)).scalar_one()


def assert_conflict(answer: Answer, event_id: str) -> None:
    problem = assert_problem(answer, 409, "conflict")
    assert (problem["field"], problem["value"]) == ("event_id", event_id)
    assert problem["detail"] == f"another event is stored under event_id {event_id}"


@pytest.mark.parametrize("days", [-2, 1], ids=["two days earlier", "a day later"])
def test_id_of_an_event_of_another_day_is_a_conflict(
    api: Api, owner: Connection, event_id: str, days: int
) -> None:
    stored = at(noon(1), event_id)
    created(api, stored)

    answer = api.post(EVENTS, stored | {"event_timestamp": rfc3339(noon(1) + timedelta(days=days))})

    assert_conflict(answer, event_id)
    assert count_of(owner, event_id) == 1
    assert dates_of(owner, event_id) == [noon(1).date()]
    read = api.get(f"{EVENTS}/{event_id}")
    assert (read.status, read.json["event_timestamp"]) == (200, rfc3339(noon(1)).replace(".000000", ""))


def test_retry_stamped_anew_is_a_conflict_on_either_side_of_midnight(
    api: Api, owner: Connection, event_id: str
) -> None:
    before_midnight = noon(2).replace(hour=23, minute=59, second=59)
    event = at(before_midnight, event_id)
    created(api, event)
    before = stored_event(owner, event["correlation_id"])

    again = api.post(EVENTS, event)
    stamped_anew = [
        api.post(EVENTS, event | {"event_timestamp": rfc3339(before_midnight + timedelta(seconds=seconds))})
        for seconds in (-1, 1)
    ]

    assert again.status == 200
    for answer in stamped_anew:
        assert_conflict(answer, event_id)
    assert stored_event(owner, event["correlation_id"]) == before


def test_retry_stamped_anew_is_a_conflict_in_another_month(
    any_age: Api, owner: Connection, event_id: str
) -> None:
    event = at(now().replace(day=1, hour=0, minute=0, second=0), event_id)
    created(any_age, event)

    answer = any_age.post(EVENTS, at(now().replace(day=1) - timedelta(days=1), event_id))

    assert_conflict(answer, event_id)
    assert count_of(owner, event_id) == 1


@pytest.fixture(scope="module")
def any_age(start_service: StartService) -> Api:
    """A service that accepts events of any age."""
    return start_service(LIMITS_MAX_EVENT_AGE="off").api


@pytest.mark.parametrize("days", [0, 1], ids=["earlier first", "later first"])
def test_batch_with_one_id_for_two_dates_is_a_conflict(
    api: Api, owner: Connection, event_id: str, days: int
) -> None:
    correlation_id = unique()
    batch = [
        an_event(correlation_id=correlation_id, parent_event_id=event_id),
        at(noon(1 - days), event_id, correlation_id=correlation_id),
        at(noon(days), event_id, correlation_id=correlation_id),
    ]

    answer = api.post(BATCH, batch)

    assert_conflict(answer, event_id)
    assert count_events(owner, correlation_id) == 0
    assert dates_of(owner, event_id) == []


def test_batch_with_the_id_of_an_event_of_another_day_is_a_conflict(
    api: Api, owner: Connection, event_id: str
) -> None:
    created(api, at(noon(2), event_id))
    correlation_id, other_id = unique(), str(uuid4())
    batch = [
        at(noon(), other_id, correlation_id=correlation_id),
        at(noon(), event_id, correlation_id=correlation_id),
        an_event(correlation_id=correlation_id, parent_event_id=event_id),
    ]

    answer = api.post(BATCH, batch)

    assert_conflict(answer, event_id)
    assert count_events(owner, correlation_id) == 0
    assert (dates_of(owner, other_id), dates_of(owner, event_id)) == ([], [noon(2).date()])


def test_batch_that_was_refused_may_be_sent_without_the_conflict(
    api: Api, owner: Connection, event_id: str
) -> None:
    created(api, at(noon(2), event_id))
    batch = [at(noon(), str(uuid4())), at(noon(), event_id)]
    assert api.post(BATCH, batch).status == 409

    batch_created(api, batch[:1])

    assert dates_of(owner, batch[0]["event_id"]) == [noon().date()]


def test_id_that_the_service_chose_is_a_conflict_when_it_comes_back_with_another_date(
    api: Api, owner: Connection
) -> None:
    event = an_event(event_timestamp=rfc3339(noon(3)))
    event_id = created(api, event).json["event_id"]

    answer = api.post(EVENTS, event | {"event_id": event_id, "event_timestamp": rfc3339(noon())})

    assert_conflict(answer, event_id)
    assert count_of(owner, event_id) == 1
    assert dates_of(owner, event_id) == []


def test_id_that_the_service_chose_is_a_conflict_in_a_batch_too(api: Api, owner: Connection) -> None:
    event_id = created(api, an_event(event_timestamp=rfc3339(noon(3)))).json["event_id"]
    correlation_id = unique()

    answer = api.post(BATCH, [an_event(correlation_id=correlation_id), at(noon(), event_id)])

    assert_conflict(answer, event_id)
    assert count_events(owner, correlation_id) == 0


def test_event_is_the_same_when_it_comes_back_with_the_id_that_the_service_chose(
    api: Api, owner: Connection
) -> None:
    event = an_event()
    answer = created(api, event)

    again = api.post(EVENTS, event | {"event_id": answer.json["event_id"]})
    other = api.post(EVENTS, event | {"event_id": answer.json["event_id"], "event_action": "other"})

    assert (again.status, other.status) == (200, 409)
    assert count_of(owner, answer.json["event_id"]) == 1


def test_sent_id_that_only_looks_like_one_of_the_service_is_used(api: Api, owner: Connection) -> None:
    milliseconds = int(now(days=-1).timestamp() * 1000)
    event_id = str(UUID(int=milliseconds << 80 | random.getrandbits(74), version=4))
    event = at(noon(), event_id)

    created(api, event)

    assert api.post(EVENTS, event).status == 200
    assert_conflict(api.post(EVENTS, at(noon(1), event_id)), event_id)
    assert dates_of(owner, event_id) == [noon().date()]


def test_only_ids_that_were_sent_are_kept_apart(api: Api, owner: Connection, event_id: str) -> None:
    [chosen, sent] = batch_created(api, [an_event(), at(noon(), event_id)]).json["event_ids"]

    assert (dates_of(owner, chosen), dates_of(owner, sent)) == ([], [noon().date()])


def test_event_stored_by_the_release_before_has_its_id_known_once_it_is_sent_again(
    any_age: Api, owner: Connection, event_id: str
) -> None:
    owner.execute(insert(audit_events), an_event_row(event_id=event_id, event_timestamp=noon()))

    same_day = any_age.post(EVENTS, at(noon(), event_id))
    another_day = any_age.post(EVENTS, at(noon(5), event_id))

    assert_conflict(same_day, event_id)
    assert_conflict(another_day, event_id)
    assert dates_of(owner, event_id) == [noon().date()]
    assert count_of(owner, event_id) == 1


def test_neighbours_of_a_conflict_are_stored(api: Api, owner: Connection, event_id: str) -> None:
    created(api, at(noon(1), event_id))
    correlation_id = unique()
    neighbours = [at(noon(), str(uuid4()), correlation_id=correlation_id) for _ in range(40)]
    conflicts = [at(noon(), event_id, correlation_id=correlation_id)] * 10

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda body: api.post(EVENTS, body), neighbours + conflicts))

    assert Counter(answer.status for answer in answers) == {201: 40, 409: 10}
    assert count_events(owner, correlation_id) == 40


def test_one_of_many_dates_wins_each_id(any_age: Api, owner: Connection) -> None:
    """Every client sends every id once, for a date and in an order of its own."""
    correlation_id = unique()
    ids = [str(uuid4()) for _ in range(IDS)]

    def send(client: int) -> Counter[int]:
        events = [at(noon(client), event_id, correlation_id=correlation_id) for event_id in ids]
        random.Random(client).shuffle(events)  # noqa: S311 - an order, not a secret
        return Counter(any_age.post(EVENTS, event).status for event in events)

    with ThreadPoolExecutor(CLIENTS) as threads:
        statuses = sum(threads.map(send, range(CLIENTS)), Counter[int]())

    assert statuses == {201: IDS, 409: IDS * (CLIENTS - 1)}
    assert count_events(owner, correlation_id) == IDS


def test_batches_that_share_ids_do_not_deadlock(any_age: Api, owner: Connection) -> None:
    correlation_id = unique()
    ids = [str(uuid4()) for _ in range(IDS)]

    def send(client: int) -> list[int]:
        events = [at(noon(client), event_id, correlation_id=correlation_id) for event_id in ids]
        random.Random(client).shuffle(events)  # noqa: S311 - an order, not a secret
        parts = [events[start : start + 20] for start in range(0, IDS, 20)]
        return [any_age.post(BATCH, part).status for part in parts]

    with ThreadPoolExecutor(CLIENTS) as threads:
        statuses = [status for each in threads.map(send, range(CLIENTS)) for status in each]

    assert set(statuses) == {201, 409}
    stored = owner.execute(
        select(func.count(), func.count(audit_events.c.event_id.distinct())).where(
            audit_events.c.correlation_id == correlation_id
        )
    ).one()
    assert stored[0] == stored[1] == 20 * statuses.count(201)
