"""``POST /api/v1/audit/events``: malformed events are named fault by fault, and leave no trace (ADR-034)."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import Connection

from tests.support.builders import (
    ABSENT,
    EVENTS,
    HIDDEN_CHARACTERS,
    MAXIMUM_CHARACTERS,
    an_event,
    now,
    rfc3339,
)
from tests.support.http import Api, assert_problem
from tests.support.stored import count_events

REQUIRED = (
    "version",
    "event_type",
    "event_timestamp",
    "event_category",
    "event_action",
    "event_outcome",
    "correlation_id",
    "event_data",
)
REQUIRED_TEXT = tuple(name for name in REQUIRED if name not in {"event_timestamp", "event_data"})
CATEGORIES = (
    "gateway, notification, analysis, aiagent, signalprocessing, workflow, workflowexecution, execution,"
    " orchestration, approval, effectiveness, actiontype, apifrontend, security, agentsession"
)

Refuse = Callable[..., dict[str, str]]


@pytest.fixture
def refuse(api: Api, owner: Connection, redis_url: str) -> Iterator[Refuse]:
    """Post an event that is refused, and return its field errors; nothing may be stored or queued."""
    queue = redis.Redis.from_url(redis_url)

    def post(**fields: Any) -> dict[str, str]:
        event = an_event(**fields)
        queued_before = queue.xlen("audit:dlq:events")
        problem = assert_problem(api.post(EVENTS, event), 400, "validation-error")
        field_errors: dict[str, str] = problem["field_errors"]
        faults = "; ".join(f"{name} - {message}" for name, message in field_errors.items())
        assert problem["detail"] == f"Validation failed for audit_event: {faults}"
        assert (problem["title"], problem["resource"]) == ("Validation Error", "audit_event")
        assert problem["instance"] == EVENTS
        assert queue.xlen("audit:dlq:events") == queued_before
        if isinstance(event.get("correlation_id"), str) and "\0" not in event["correlation_id"]:
            assert count_events(owner, event["correlation_id"]) == 0
        return field_errors

    yield post
    queue.close()


@pytest.mark.parametrize("name", sorted({*MAXIMUM_CHARACTERS} - {"error_message"}))
@pytest.mark.parametrize("character", HIDDEN_CHARACTERS, ids=ascii)
def test_identifier_with_a_hidden_character_is_refused(refuse: Refuse, name: str, character: str) -> None:
    message = f"must not contain control or invisible characters (got U+{ord(character):04X})"

    assert refuse(**{name: f"rr{character}1"}) == {name: message}


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [ABSENT, None], ids=["absent", "null"])
def test_missing_required_field_is_named(refuse: Refuse, name: str, value: object) -> None:
    assert refuse(**{name: value}) == {name: "required field missing"}


@pytest.mark.parametrize("name", REQUIRED_TEXT)
@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\N{NO-BREAK SPACE}"], ids=repr)
def test_blank_required_text_is_refused(refuse: Refuse, name: str, blank: str) -> None:
    assert refuse(**{name: blank}) == {name: "must not be empty"}


@pytest.mark.parametrize("name", [*REQUIRED_TEXT, "actor_id", "severity", "namespace", "error_message"])
@pytest.mark.parametrize("value", [5, True, ["x"], {"x": 1}], ids=repr)
def test_text_of_another_type_is_refused(refuse: Refuse, name: str, value: Any) -> None:
    assert refuse(**{name: value}) == {name: "must be a string"}


@pytest.mark.parametrize(("name", "maximum"), MAXIMUM_CHARACTERS.items())
def test_text_over_its_limit_is_refused(refuse: Refuse, name: str, maximum: int) -> None:
    message = f"must be at most {maximum} characters (got {maximum + 1})"

    assert refuse(**{name: "x" * (maximum + 1)}) == {name: message}


@pytest.mark.parametrize("name", MAXIMUM_CHARACTERS)
def test_nul_in_text_is_refused(refuse: Refuse, name: str) -> None:
    assert refuse(**{name: "a\0b"}) == {name: "must not contain NUL characters"}


@pytest.mark.parametrize("value", ["ok", "skipped", "Success", "success "])
def test_outcome_outside_its_list_is_refused(refuse: Refuse, value: str) -> None:
    message = f"must be one of: success, failure, pending (got '{value}')"

    assert refuse(event_outcome=value) == {"event_outcome": message}


@pytest.mark.parametrize("value", ["signal", "aianalysis", "Gateway", "workflow_catalog"])
def test_category_outside_its_list_is_refused(refuse: Refuse, value: str) -> None:
    message = f"must be one of: {CATEGORIES} (got '{value}')"

    assert refuse(event_category=value) == {"event_category": message}


def test_fault_in_an_older_name_is_reported_under_the_new_one(refuse: Refuse) -> None:
    faults = refuse(event_category=ABSENT, service="aianalysis", event_outcome=ABSENT, outcome="ok")

    assert list(faults) == ["event_category", "event_outcome"]
    assert "(got 'aianalysis')" in faults["event_category"]


def today(suffix: str) -> str:
    return now().strftime("%Y-%m-%d") + suffix


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "",
        1768378365,
        today(""),
        today("T10:00:00"),
        today(" 10:00:00Z"),
        today("T10:00:00,5Z"),
        today("t10:00:00z"),
        today("T24:00:00Z"),
        today("T10:00:60Z"),
        today("T10:00Z"),
        today("T10:00:00+0200"),
        today("T10:00:00.1234567890Z"),
        "2026-02-30T10:00:00Z",
        "2026-W03-3T10:00:00Z",
    ],
)
def test_timestamp_in_another_notation_is_refused(refuse: Refuse, value: Any) -> None:
    assert refuse(event_timestamp=value) == {
        "event_timestamp": "must be an RFC 3339 timestamp with a time zone"
    }


@pytest.mark.parametrize("ahead", [{"minutes": 6}, {"days": 400}], ids=["6 minutes", "next year"])
def test_timestamp_too_far_ahead_is_refused(refuse: Refuse, ahead: dict[str, float]) -> None:
    at = rfc3339(now(**ahead))

    message = refuse(event_timestamp=at)["event_timestamp"]

    parts = re.fullmatch(r"timestamp is in the future \(server time: (\S+), event time: (\S+)\)", message)
    assert parts
    assert parts[2] == at
    assert abs(datetime.fromisoformat(parts[1]) - now()) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "at",
    [rfc3339(now(days=-8)), "2024-01-01T00:00:00Z", "0001-01-01T00:00:00Z"],
    ids=["8 days old", "years old", "unset"],
)
def test_timestamp_too_old_is_refused(refuse: Refuse, at: str) -> None:
    message = refuse(event_timestamp=at)["event_timestamp"]

    assert message.startswith("timestamp is too old (must be within 7 days, age: ")


@pytest.mark.parametrize("name", ["parent_event_id", "event_id"])
@pytest.mark.parametrize(
    "value",
    [
        "abc",
        "11111111222243338444555555555555",
        "{11111111-2222-4333-8444-555555555555}",
        "11111111-2222-4333-8444-55555555555g",
        17,
        ["x"],
    ],
    ids=str,
)
def test_id_in_another_notation_is_refused(refuse: Refuse, name: str, value: Any) -> None:
    assert refuse(**{name: value}) == {name: "must be a valid UUID"}


@pytest.mark.parametrize("value", ["12", 1.5, True, "", [1]], ids=repr)
@pytest.mark.parametrize("name", ["duration_ms", "retention_days"])
def test_number_of_another_type_is_refused(refuse: Refuse, name: str, value: Any) -> None:
    assert refuse(**{name: value}) == {name: "must be an integer"}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("duration_ms", 2**31, f"must be at most {2**31 - 1}"),
        ("duration_ms", -(2**31) - 1, f"must be at least {-(2**31)}"),
        ("duration_ms", 10**30, f"must be at most {2**31 - 1}"),
        ("retention_days", 2556, "must be at most 2555"),
        ("retention_days", -1, "must be at least 1"),
    ],
)
def test_number_out_of_range_is_refused(refuse: Refuse, name: str, value: int, message: str) -> None:
    assert refuse(**{name: value}) == {name: message}


@pytest.mark.parametrize("value", ["true", 1, 0, []], ids=repr)
def test_flag_of_another_type_is_refused(refuse: Refuse, value: Any) -> None:
    assert refuse(is_sensitive=value) == {"is_sensitive": "must be a boolean"}


@pytest.mark.parametrize("value", ["localhost", "10.0.0.256", "10.0.0.0/8", "fe80::1%eth0", "010.0.0.1"])
def test_address_in_another_notation_is_refused(refuse: Refuse, value: str) -> None:
    assert refuse(actor_ip=value) == {"actor_ip": "must be an IPv4 or IPv6 address"}


@pytest.mark.parametrize("value", ["14.01.2026", "2026-02-30", "2026-01-14T10:00:00"])
def test_date_in_another_notation_is_refused(refuse: Refuse, value: str) -> None:
    assert "must be a date" in refuse(parent_event_date=value)["parent_event_date"]


def test_every_fault_is_named_at_once(refuse: Refuse) -> None:
    faults = refuse(event_type=ABSENT, correlation_id=ABSENT, event_outcome="bad", severity="x" * 21)

    assert list(faults) == ["event_type", "event_outcome", "correlation_id", "severity"]


def test_every_missing_field_is_named_in_the_order_of_the_contract(api: Api) -> None:
    answer = api.post(EVENTS, {"version": "1.0", "event_data": {}})

    problem = assert_problem(answer, 400, "validation-error")
    assert problem["field_errors"] == {
        name: "required field missing" for name in REQUIRED if name not in {"version", "event_data"}
    }
    positions = [problem["detail"].index(f"{name} - ") for name in problem["field_errors"]]
    assert positions == sorted(positions)
