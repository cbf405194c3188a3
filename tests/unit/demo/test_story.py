"""The story is complete, believable to the service, and the same every time."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from datastorage.audit.schemas import AuditEventSchema
from datastorage.demo import story
from datastorage.demo.content import EVENT_TYPES, STORY
from datastorage.demo.story import Story
from datastorage.notifications.schemas import NotificationSchema
from datastorage.settings import Settings

NOON = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
JUST_AFTER_MIDNIGHT = datetime(2026, 3, 1, 0, 0, 1, tzinfo=UTC)
JUST_BEFORE_MIDNIGHT = datetime(2026, 1, 1, 23, 59, 59, tzinfo=UTC)
INSTANTS = (NOON, JUST_AFTER_MIDNIGHT, JUST_BEFORE_MIDNIGHT)

JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array<string>": list,
}


def at(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["event_timestamp"])


@pytest.fixture(scope="module")
def long_story() -> Story:
    """So much that every plot occurs."""
    return story.tell(1, NOON, 20_000)


@pytest.mark.parametrize("count", [1, 27, 500])
def test_every_type_occurs_with_the_sample_of_the_catalogue(count: int) -> None:
    told = story.tell(7, NOON, count)

    samples = {name: kind["sample_event_data"] for name, kind in EVENT_TYPES.items()}
    tour = {e["event_type"]: e["event_data"] for e in told.events if e["correlation_id"] == told.tour}
    assert len(EVENT_TYPES) == 27
    assert tour == samples


def test_steps_of_a_chapter_have_known_keys_and_every_chapter_is_told() -> None:
    known = {
        "repeat",
        "wait",
        "took",
        "choose",
        "facts",
        "note",
        "play",
        "each",
        "tell",
        "mention",
        "deliver",
    }
    chapters, plots = STORY["chapters"], STORY["plots"]

    steps = [step for chapter in chapters.values() for step in chapter]
    entries = [entry for plot in plots for entry in plot["chapters"]]
    told = {name for entry in entries for name in ([entry] if isinstance(entry, str) else entry)}
    told |= {name for step in steps for name in step.get("play", ())}

    assert {key for step in steps for key in step} == known | {"deliver", "end"}
    assert told == chapters.keys()
    assert sum(plot["weight"] for plot in plots) == 100


@pytest.mark.parametrize("count", [27, 28, 100, 500, 5000])
def test_there_are_as_many_events_as_wanted(count: int) -> None:
    told = story.tell(1, NOON, count)

    assert len(told.events) == count
    assert len({event["event_id"] for event in told.events}) == count


@pytest.mark.parametrize("now", INSTANTS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_service_accepts_every_event_and_record(seed: int, now: datetime) -> None:
    environ = {"DATASTORAGE_DATABASE_URL": "postgresql://a@b/c", "DATASTORAGE_REDIS_URL": "redis://b:1"}
    settings = Settings.from_environ(environ)
    events = AuditEventSchema(settings.audit, settings.limits, lambda: now)
    notifications = NotificationSchema(lambda: now)

    told = story.tell(seed, now, 1000)

    for event in told.events:
        events.read(event)
    for notification in told.notifications:
        notifications.read(notification)
    assert told.notifications


@pytest.mark.parametrize("now", INSTANTS)
def test_everything_happened_in_the_last_seven_days(now: datetime) -> None:
    told = story.tell(1, now, 2000)

    instants = [at(event) for event in told.events]
    assert instants == sorted(instants)
    assert instants[0] > now - timedelta(days=7) + timedelta(minutes=30)
    assert instants[-1] <= now
    assert instants[-1] - instants[0] > timedelta(days=5)
    assert all(sent["sent_at"] <= told.events[-1]["event_timestamp"] for sent in told.notifications)


def test_a_parent_is_an_earlier_event_of_the_same_remediation(long_story: Story) -> None:
    by_id = {event["event_id"]: event for event in long_story.events}

    children = [event for event in long_story.events if "parent_event_id" in event]

    assert len(children) > len(long_story.events) / 2
    for child in children:
        parent = by_id[child["parent_event_id"]]
        assert parent["correlation_id"] == child["correlation_id"]
        assert at(parent) < at(child)
        assert child["parent_event_date"] == parent["event_timestamp"][:10]


def test_every_remediation_begins_with_one_event_without_a_parent(long_story: Story) -> None:
    beginnings = Counter(e["correlation_id"] for e in long_story.events if "parent_event_id" not in e)

    assert set(beginnings) == {event["correlation_id"] for event in long_story.events}
    assert set(beginnings.values()) == {1}


def test_payloads_have_the_members_that_the_catalogue_names(long_story: Story) -> None:
    for event in long_story.events:
        fields = EVENT_TYPES[event["event_type"]]["fields"]
        assert event["event_data"].keys() == fields.keys(), event["event_type"]
        for name, value in event["event_data"].items():
            assert isinstance(value, JSON_TYPES[fields[name]["type"]]), (event["event_type"], name)


def test_life_is_varied(long_story: Story) -> None:
    def values(member: str) -> set[Any]:
        return {event.get(member) for event in long_story.events}

    outside_the_tour = {e["event_type"] for e in long_story.events if e["correlation_id"] != long_story.tour}

    assert outside_the_tour == set(EVENT_TYPES)
    assert values("event_outcome") == {"success", "failure", "pending"}
    assert values("severity") == {"critical", "error", "warning"}
    assert len(values("cluster_name")) == 5
    assert len(values("namespace")) == 6
    assert len(values("duration_ms")) > 1000


def test_deliveries_are_recorded_as_the_events_say(long_story: Story) -> None:
    told = {
        event["event_data"]["notification_id"]
        for event in long_story.events
        if event["event_category"] == "notification" and event["correlation_id"] != long_story.tour
    }

    recorded = [record["notification_id"] for record in long_story.notifications]

    assert set(recorded) == told
    assert len(recorded) == len(told)
    assert {record["status"] for record in long_story.notifications} == {"sent", "failed", "escalated"}


def test_the_same_seed_tells_the_same_story() -> None:
    assert story.tell(5, NOON, 300) == story.tell(5, NOON, 300)


def test_an_hour_later_the_story_goes_on_and_nothing_in_it_has_changed() -> None:
    earlier = {event["event_id"]: event for event in story.tell(1, NOON, 5000).events}

    later = {event["event_id"]: event for event in story.tell(1, NOON + timedelta(hours=1), 5000).events}

    common = earlier.keys() & later.keys()
    assert len(common) > 4800
    assert all(earlier[event_id] == later[event_id] for event_id in common)
    assert max(at(event) for event in later.values()) > NOON


@pytest.mark.parametrize(("seed", "now"), [(2, NOON), (1, NOON + timedelta(days=1))])
def test_another_seed_or_day_shares_no_ids(seed: int, now: datetime) -> None:
    one, other = story.tell(1, NOON, 1000), story.tell(seed, now, 1000)

    for member in ("event_id", "correlation_id"):
        assert not {e[member] for e in one.events} & {e[member] for e in other.events}
    assert not {n["notification_id"] for n in one.notifications} & {
        n["notification_id"] for n in other.notifications
    }
