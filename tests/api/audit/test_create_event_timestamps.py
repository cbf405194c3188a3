"""``POST /api/v1/audit/events``: which timestamps are accepted, and what is made of them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Connection

from tests.support.builders import EVENTS, an_event, now, rfc3339
from tests.support.http import Api
from tests.support.stored import stored_event
from tests.support.writes import created, read_again


@pytest.mark.parametrize(
    "offset",
    [{"minutes": 4, "seconds": 50}, {"days": -6, "hours": -23}],
    ids=["five minutes ahead", "seven days old"],
)
def test_timestamp_within_the_window_is_accepted(api: Api, offset: dict[str, float]) -> None:
    event = an_event(event_timestamp=rfc3339(now(**offset)))

    assert created(api, event).json["event_timestamp"] == event["event_timestamp"]


def test_nanoseconds_are_cut_off(api: Api) -> None:
    moment = now().strftime("%Y-%m-%dT%H:%M:%S")

    members = read_again(api, an_event(event_timestamp=f"{moment}.123456999Z"))

    assert members["event_timestamp"] == f"{moment}.123456Z"


def test_whole_seconds_are_returned_without_a_fraction(api: Api) -> None:
    moment = now().strftime("%Y-%m-%dT%H:%M:%SZ")

    assert read_again(api, an_event(event_timestamp=moment))["event_timestamp"] == moment


def test_timestamp_of_another_zone_is_returned_in_utc(api: Api) -> None:
    at = now()
    in_india = at.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat(timespec="microseconds")
    event = an_event(event_timestamp=in_india)

    answer = created(api, event)

    assert in_india.endswith("+05:30")
    assert answer.json["event_timestamp"] == rfc3339(at)
    assert api.get(f"{EVENTS}/{answer.json['event_id']}").json["event_timestamp"] == rfc3339(at)


def test_event_date_is_the_date_in_utc(api: Api, owner: Connection) -> None:
    at = now(days=-2).replace(hour=0, minute=30)
    the_day_before = at.astimezone(timezone(timedelta(hours=-9))).isoformat()
    event = an_event(event_timestamp=the_day_before)

    created(api, event)

    row = stored_event(owner, event["correlation_id"])
    assert row.event_date == at.date()
    assert row.event_timestamp.astimezone(UTC) == at


def test_event_is_found_in_the_month_it_happened(api: Api, owner: Connection) -> None:
    at = datetime.now(UTC)
    event = an_event(event_timestamp=rfc3339(at))

    created(api, event)

    partition = owner.exec_driver_sql(
        "SELECT tableoid::regclass::text FROM audit_events WHERE correlation_id = %s",
        (event["correlation_id"],),
    ).scalar_one()
    assert partition == f"audit_events_{at:%Y_%m}"
