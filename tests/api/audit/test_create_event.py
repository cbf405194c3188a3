"""``POST /api/v1/audit/events``: what is accepted, and how it is stored and read again."""

import json
import re

import pytest
from sqlalchemy import Connection

from tests.support.builders import ABSENT, EVENTS, FREE_TEXT, MAXIMUM_CHARACTERS, an_event, unique, widest
from tests.support.http import Api
from tests.support.stored import stored_event
from tests.support.writes import created, read_again

EVERY_OPTIONAL_MEMBER = {
    "actor_type": "user",
    "actor_id": "ops@example.org",
    "actor_ip": "2001:db8::17",
    "resource_type": "Deployment",
    "resource_id": "payments/checkout-api",
    "resource_name": "checkout-api",
    "namespace": "payments",
    "cluster_name": "eu-central-1a",
    "severity": "critical",
    "duration_ms": 14,
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "span_id": "00f067aa0ba902b7",
    "event_metadata": {"sampled": True},
    "error_code": "E-17",
    "error_message": "first line\nsecond line",
    "retention_days": 30,
    "is_sensitive": True,
}


def test_event_is_stored_with_every_default(api: Api, owner: Connection) -> None:
    event = an_event()

    answer = created(api, event)

    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json == {
        "event_id": answer.json["event_id"],
        "event_timestamp": event["event_timestamp"],
        "message": "Audit event created successfully",
    }
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.json["event_id"])
    row = stored_event(owner, event["correlation_id"])
    assert str(row.event_id) == answer.json["event_id"]
    assert (row.actor_type, row.actor_id) == ("service", "gateway-service")
    assert (row.resource_type, row.resource_id) == ("gateway", event["correlation_id"])
    assert (row.severity, row.retention_days, row.is_sensitive) == ("info", 2555, False)
    absent = (
        "parent_event_id",
        "parent_event_date",
        "namespace",
        "cluster_name",
        "duration_ms",
        "error_code",
    )
    assert {name: getattr(row, name) for name in absent} == dict.fromkeys(absent)


def test_every_optional_member_is_stored_as_given(api: Api, owner: Connection) -> None:
    event = an_event(**EVERY_OPTIONAL_MEMBER)

    created(api, event)

    row = stored_event(owner, event["correlation_id"])._mapping
    stored = {name: row[name] for name in EVERY_OPTIONAL_MEMBER} | {"actor_ip": str(row["actor_ip"])}
    assert stored == EVERY_OPTIONAL_MEMBER


def test_every_optional_member_is_read_as_given(api: Api) -> None:
    members = read_again(api, an_event(**EVERY_OPTIONAL_MEMBER))

    assert {name: members[name] for name in EVERY_OPTIONAL_MEMBER} == EVERY_OPTIONAL_MEMBER


@pytest.mark.parametrize("name", EVERY_OPTIONAL_MEMBER)
def test_null_means_absent(api: Api, name: str) -> None:
    with_null = read_again(api, an_event(correlation_id="rr-null", **{name: None}))
    without = read_again(api, an_event(correlation_id="rr-null"))

    own = {"event_id", "event_timestamp", "received_at"}
    assert {key: with_null[key] for key in with_null.keys() - own} == {
        key: without[key] for key in without.keys() - own
    }


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("actor_type", "service"),
        ("actor_id", "gateway-service"),
        ("resource_type", "gateway"),
        ("severity", "info"),
        ("namespace", None),
        ("cluster_name", None),
        ("trace_id", None),
        ("error_message", None),
        ("actor_ip", None),
    ],
)
@pytest.mark.parametrize("blank", ["", " \t "])
def test_blank_optional_text_means_absent(
    api: Api, owner: Connection, name: str, stored: str | None, blank: str
) -> None:
    event = an_event(**{name: blank})

    created(api, event)

    assert getattr(stored_event(owner, event["correlation_id"]), name) == stored


def test_absent_namespace_and_cluster_read_as_empty_text(api: Api) -> None:
    members = read_again(api, an_event(namespace="", cluster_name=None))

    assert (members["namespace"], members["cluster_name"]) == ("", "")


@pytest.mark.parametrize("duration_ms", [0, -1, -(2**31), 2**31 - 1])
def test_duration_keeps_its_value(api: Api, owner: Connection, duration_ms: int) -> None:
    event = an_event(duration_ms=duration_ms)

    members = read_again(api, event)

    assert members["duration_ms"] == duration_ms
    assert stored_event(owner, event["correlation_id"]).duration_ms == duration_ms


def test_absent_duration_reads_as_null(api: Api) -> None:
    assert read_again(api, an_event())["duration_ms"] is None


@pytest.mark.parametrize(("given", "stored"), [(0, 2555), (1, 1), (2555, 2555)])
def test_retention_of_zero_days_means_the_default(api: Api, given: int, stored: int) -> None:
    assert read_again(api, an_event(retention_days=given))["retention_days"] == stored


@pytest.mark.parametrize(
    "category",
    [
        "notification",
        "analysis",
        "aiagent",
        "signalprocessing",
        "workflow",
        "workflowexecution",
        "execution",
        "orchestration",
        "approval",
        "effectiveness",
        "actiontype",
        "apifrontend",
        "security",
        "agentsession",
    ],
)
def test_actor_and_resource_type_follow_the_category(api: Api, category: str) -> None:
    members = read_again(api, an_event(event_category=category))

    assert (members["actor_id"], members["resource_type"]) == (f"{category}-service", category)


@pytest.mark.parametrize("event_type", ["llm_request", "Gateway Signal/Received!", "x"])
def test_event_type_needs_no_form(api: Api, event_type: str) -> None:
    members = read_again(api, an_event(event_type=event_type, event_category="analysis"))

    assert members["event_type"] == event_type


@pytest.mark.parametrize("outcome", ["success", "failure", "pending"])
def test_every_outcome_is_stored(api: Api, outcome: str) -> None:
    assert read_again(api, an_event(event_outcome=outcome))["event_outcome"] == outcome


@pytest.mark.parametrize(
    ("alias", "canonical", "value"),
    [
        ("service", "event_category", "workflow"),
        ("operation", "event_action", "scaled"),
        ("outcome", "event_outcome", "failure"),
        ("event_version", "version", "1.7"),
        ("resource_namespace", "namespace", "payments"),
        ("cluster_id", "cluster_name", "eu-central-1a"),
    ],
)
@pytest.mark.parametrize("canonical_value", [ABSENT, None], ids=["absent", "null"])
def test_older_name_of_a_member_is_stored_under_the_new_one(
    api: Api, alias: str, canonical: str, value: str, canonical_value: object
) -> None:
    members = read_again(api, an_event(**{alias: value, canonical: canonical_value}))

    assert members[canonical] == value


def test_new_name_of_a_member_wins_over_the_older_one(api: Api) -> None:
    event = an_event(service="nonsense", cluster_id="older", cluster_name="newer")

    members = read_again(api, event)

    assert (members["event_category"], members["cluster_name"]) == ("gateway", "newer")


def test_unknown_members_are_ignored(api: Api) -> None:
    members = read_again(api, an_event(unknown_member={"a": 1}, event_date="1999-01-01", event_hash="x"))

    assert "unknown_member" not in members
    assert members["event_date"] == members["event_timestamp"][:10]


@pytest.mark.parametrize(("name", "maximum"), MAXIMUM_CHARACTERS.items())
def test_length_is_counted_in_code_points(api: Api, name: str, maximum: int) -> None:
    longest = "\N{ROCKET}" * maximum

    assert read_again(api, an_event(**{name: longest}))[name] == longest


def test_event_whose_texts_are_all_as_long_as_documented_is_stored(api: Api) -> None:
    texts = {name: widest(maximum) for name, maximum in MAXIMUM_CHARACTERS.items() if name != "error_message"}

    assert read_again(api, an_event(**texts)).items() >= texts.items()


def test_text_is_kept_to_the_letter(api: Api) -> None:
    event = an_event(
        event_type="  Padded.Type ",
        resource_id="<b>bold</b> & 'quoted'",
        error_message="e\N{COMBINING ACUTE ACCENT} \N{LATIN SMALL LETTER E WITH ACUTE} \u202e\r\n\t\x01",
    )

    members = read_again(api, event)

    names = ("event_type", "resource_id", "error_message")
    assert [members[name] for name in names] == [event[name] for name in names]


def test_free_text_and_payload_may_have_every_character(api: Api) -> None:
    event = an_event(error_message=FREE_TEXT, event_data={FREE_TEXT: FREE_TEXT})

    members = read_again(api, event)

    assert (members["error_message"], members["event_data"]) == (FREE_TEXT, {FREE_TEXT: FREE_TEXT})


def test_correlation_id_in_any_script_is_found_again(api: Api) -> None:
    # As a client that escapes everything would send it, the rocket as a pair of surrogates.
    own = unique()
    body = json.dumps(an_event(correlation_id="%s"))
    escaped = rf"{own}-\u0628\u064a\u0626\u0629-\u751f\u4ea7-\ud83d\ude80"
    correlation_id = f"{own}-بيئة-生产-🚀"

    answer = api.post(EVENTS, body=(body % escaped).encode("ascii"))
    found = api.get(EVENTS, {"correlation_id": correlation_id})

    assert answer.status == 201
    assert found.status == 200
    assert found.json["pagination"]["total"] == 1
    assert found.json["data"][0]["correlation_id"] == correlation_id


def test_event_headers_are_ignored(api: Api, owner: Connection) -> None:
    event = an_event()

    headers = {"X-Event-Type": "other", "X-Correlation-ID": "other"}
    answer = api.request("POST", EVENTS, body=json.dumps(event).encode(), headers=headers)

    assert answer.status == 201
    assert stored_event(owner, event["correlation_id"]).event_type == event["event_type"]
