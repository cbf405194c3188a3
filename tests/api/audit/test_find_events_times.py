"""``GET /api/v1/audit/events``: ``since`` and ``until``."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from tests.support.builders import EVENTS, an_event, now, rfc3339, unique
from tests.support.http import Answer, Api
from tests.support.writes import batch_created


@pytest.fixture
def ages(api: Api) -> tuple[str, dict[str, float]]:
    """A correlation with events of known ages in hours."""
    ours = unique()
    hours = {"fresh": 0.1, "hour": 1.25, "day": 23.5, "day and a half": 35.0, "week": 160.0}
    events = [
        an_event(correlation_id=ours, event_action=name, event_timestamp=rfc3339(now(hours=-age)))
        for name, age in hours.items()
    ]
    batch_created(api, events)
    return ours, hours


def actions(answer: Answer) -> set[str]:
    assert answer.status == 200, answer.body
    return {event["event_action"] for event in answer.json["data"]}


@pytest.mark.parametrize(
    ("since", "hours"),
    [
        ("24h", 24.0),
        ("7d", 168.0),
        ("1h30m", 1.5),
        ("1d12h", 36.0),
        ("1.5h", 1.5),
        ("30m", 0.5),
        ("5400s", 1.5),
        ("5400000ms", 1.5),
        ("0d", 0.0),
        ("1us1ns", 0.0),
    ],
)
def test_duration_counts_back_from_now(
    api: Api, ages: tuple[str, dict[str, float]], since: str, hours: float
) -> None:
    ours, age_of = ages

    after = api.get(EVENTS, {"correlation_id": ours, "since": since})
    before = api.get(EVENTS, {"correlation_id": ours, "until": since})

    assert actions(after) == {name for name, age in age_of.items() if age < hours}
    assert actions(before) == {name for name, age in age_of.items() if age > hours}


def test_both_ends_are_inclusive(api: Api) -> None:
    ours, middle = unique(), now(hours=-2).replace(microsecond=500)
    offsets = (-1, 0, 1)
    batch_created(
        api,
        [
            an_event(
                correlation_id=ours,
                event_action=f"at {offset}",
                event_timestamp=rfc3339(middle + timedelta(microseconds=offset)),
            )
            for offset in offsets
        ],
    )

    only = api.get(EVENTS, {"correlation_id": ours, "since": rfc3339(middle), "until": rfc3339(middle)})
    lower = api.get(EVENTS, {"correlation_id": ours, "since": rfc3339(middle)})
    upper = api.get(EVENTS, {"correlation_id": ours, "until": rfc3339(middle)})

    assert actions(only) == {"at 0"}
    assert actions(lower) == {"at 0", "at 1"}
    assert actions(upper) == {"at -1", "at 0"}


def test_older_names_of_the_bounds_do_the_same(api: Api, ages: tuple[str, dict[str, float]]) -> None:
    ours, _ = ages

    answer = api.get(EVENTS, {"correlation_id": ours, "start_time": "24h", "end_time": "1h"})

    assert actions(answer) == {"hour", "day"}


def test_since_later_than_until_is_an_empty_result(api: Api, ages: tuple[str, dict[str, float]]) -> None:
    ours, _ = ages

    answer = api.get(EVENTS, {"correlation_id": ours, "since": "1h", "until": "24h"})

    assert actions(answer) == set()


@pytest.fixture
def midnight(api: Api) -> tuple[str, datetime]:
    """A correlation with one event just before, at, and just after a UTC midnight."""
    ours = unique()
    at = now(days=-1).replace(hour=0, minute=0, second=0, microsecond=0)
    events = [
        an_event(correlation_id=ours, event_action=name, event_timestamp=rfc3339(at + timedelta(seconds=s)))
        for name, s in (("before", -1), ("at", 0), ("after", 1))
    ]
    batch_created(api, events)
    return ours, at


def test_date_is_its_first_instant_in_utc_for_both_bounds(api: Api, midnight: tuple[str, datetime]) -> None:
    ours, at = midnight
    day = at.date().isoformat()

    since = api.get(EVENTS, {"correlation_id": ours, "since": day})
    until = api.get(EVENTS, {"correlation_id": ours, "until": day})

    assert actions(since) == {"at", "after"}
    assert actions(until) == {"before", "at"}


def test_timestamp_without_a_zone_is_utc(api: Api, midnight: tuple[str, datetime]) -> None:
    ours, at = midnight

    answer = api.get(EVENTS, {"correlation_id": ours, "since": at.strftime("%Y-%m-%dT%H:%M:%S")})

    assert actions(answer) == {"at", "after"}


@pytest.mark.parametrize(("sign", "hours"), [("+", 1), ("-", -1)])
def test_offset_of_the_zone_counts_even_when_its_plus_is_not_escaped(
    api: Api, midnight: tuple[str, datetime], sign: str, hours: int
) -> None:
    ours, at = midnight
    local = (at + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S")

    unescaped = api.request("GET", f"{EVENTS}?correlation_id={ours}&since={local}{sign}01:00")
    escaped = api.request("GET", f"{EVENTS}?correlation_id={ours}&since={quote(local + sign)}01:00")

    assert actions(unescaped) == actions(escaped) == {"at", "after"}


def test_fraction_with_an_unescaped_plus_is_understood(api: Api, midnight: tuple[str, datetime]) -> None:
    ours, at = midnight
    local = (at + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S") + ".000001+02:00"

    answer = api.request("GET", f"{EVENTS}?correlation_id={ours}&since={local}")

    assert actions(answer) == {"after"}


@pytest.mark.parametrize("since", ["0001-01-01", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "700000d"])
def test_farthest_times_are_only_times(api: Api, since: str) -> None:
    answer = api.get(EVENTS, {"since": since, "until": "9999-12-31", "limit": 1})

    assert answer.status == 200


def test_page_of_several_months_keeps_its_order_across_them(api: Api) -> None:
    ours = unique()
    recent = [now(days=-day, minutes=-1) for day in range(7)]
    batch_created(api, [an_event(correlation_id=ours, event_timestamp=rfc3339(at)) for at in recent])

    answer = api.get(EVENTS, {"correlation_id": ours, "since": "7d"})

    timestamps = [datetime.fromisoformat(event["event_timestamp"]) for event in answer.json["data"]]
    assert timestamps == [at.astimezone(UTC) for at in recent]
