"""``GET /api/v1/audit/events``: filters, order and pages."""

from typing import Any

import pytest

from tests.support.builders import EVENTS, an_event, now, rfc3339, unique
from tests.support.http import Answer, Api
from tests.support.writes import batch_created


def stored(api: Api, *events: dict[str, Any]) -> list[str]:
    """Store events and return their ids in the same order."""
    ids: list[str] = batch_created(api, list(events)).json["event_ids"]
    return ids


def ids(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    return [event["event_id"] for event in answer.json["data"]]


def test_events_of_a_correlation_come_newest_first(api: Api) -> None:
    ours = unique()
    minutes_ago = [3, 1, 5, 2, 4]
    in_order = stored(
        api,
        *(an_event(correlation_id=ours, event_timestamp=rfc3339(now(minutes=-m))) for m in minutes_ago),
    )
    stored(api, an_event())

    answer = api.get(EVENTS, {"correlation_id": ours})

    assert answer.headers["Content-Type"] == "application/json"
    assert ids(answer) == [in_order[minutes_ago.index(m)] for m in (1, 2, 3, 4, 5)]
    assert answer.json["pagination"] == {
        "limit": 50,
        "offset": 0,
        "total": 5,
        "has_more": False,
        "next_cursor": None,
    }


def test_events_of_the_same_instant_come_in_descending_order_of_their_ids(api: Api) -> None:
    ours, at = unique(), rfc3339(now())
    stored_ids = stored(api, *(an_event(correlation_id=ours, event_timestamp=at) for _ in range(5)))

    descending = api.get(EVENTS, {"correlation_id": ours})
    ascending = api.get(EVENTS, {"correlation_id": ours, "order": "asc"})

    assert ids(descending) == sorted(stored_ids, reverse=True)
    assert ids(ascending) == sorted(stored_ids)


def test_no_match_is_an_empty_page(api: Api) -> None:
    answer = api.get(EVENTS, {"correlation_id": unique("none-such")})

    assert answer.status == 200
    assert answer.json == {
        "data": [],
        "pagination": {"limit": 50, "offset": 0, "total": 0, "has_more": False, "next_cursor": None},
    }


def test_stored_event_reads_back_as_it_was_written(api: Api) -> None:
    event = an_event(
        event_data={"告警": "磁盘已满", "说明": "节点 № 7 😀", "n": [1, 2.5, None, True]},
        actor_ip="10.0.0.7",
        trace_id="trace-1",
        duration_ms=0,
        namespace="payments",
    )
    stored(api, event)

    answer = api.get(EVENTS, {"correlation_id": event["correlation_id"]})

    found = answer.json["data"][0]
    assert found["event_data"] == event["event_data"]
    assert found["event_timestamp"] == event["event_timestamp"]
    assert found["event_date"] == event["event_timestamp"][:10]
    assert list(found)[:6] == [
        "event_id",
        "event_timestamp",
        "event_date",
        "received_at",
        "event_type",
        "version",
    ]
    assert (found["actor_ip"], found["trace_id"], found["duration_ms"]) == ("10.0.0.7", "trace-1", 0)
    assert (found["namespace"], found["cluster_name"], found["error_code"]) == ("payments", "", "")
    assert found["parent_event_id"] is None
    assert "span_id" not in found
    assert "event_metadata" not in found


FILTERS = {
    "event_type": "analysis.investigation.started",
    "event_category": "analysis",
    "event_action": "started",
    "event_outcome": "failure",
    "severity": "critical",
    "actor_type": "user",
    "actor_id": "oncall-7",
    "resource_type": "Pod",
    "resource_id": "checkout-6f9c",
    "namespace": "payments",
    "cluster_name": "eu-west-1",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
}


@pytest.mark.parametrize(("parameter", "value"), FILTERS.items())
def test_every_filter_keeps_only_its_exact_matches(api: Api, parameter: str, value: str) -> None:
    ours = unique()
    match, *_ = stored(
        api, an_event(correlation_id=ours, **{parameter: value}), an_event(correlation_id=ours)
    )
    stored(api, an_event(**{parameter: value}))

    answer = api.get(EVENTS, {"correlation_id": ours, parameter: value})

    assert ids(answer) == [match]
    assert answer.json["pagination"]["total"] == 1


def test_filters_hold_together(api: Api) -> None:
    ours = unique()
    match, *_ = stored(
        api,
        an_event(correlation_id=ours, event_category="gateway", event_outcome="failure"),
        an_event(correlation_id=ours, event_category="gateway", event_outcome="success"),
        an_event(correlation_id=ours, event_category="workflow", event_outcome="failure"),
    )

    answer = api.get(
        EVENTS, {"correlation_id": ours, "event_category": "gateway", "event_outcome": "failure"}
    )

    assert ids(answer) == [match]


def test_parent_filter_finds_the_children(api: Api) -> None:
    ours = unique()
    (parent,) = stored(api, an_event(correlation_id=ours))
    (child,) = stored(api, an_event(correlation_id=ours, parent_event_id=parent))

    answer = api.get(EVENTS, {"parent_event_id": parent.upper()})

    assert ids(answer) == [child]
    assert answer.json["data"][0]["parent_event_id"] == parent


def test_no_event_is_a_child_of_the_nil_uuid(api: Api) -> None:
    stored(api, an_event())

    answer = api.get(EVENTS, {"parent_event_id": "00000000-0000-0000-0000-000000000000"})

    assert ids(answer) == []


@pytest.mark.parametrize(
    ("alias", "canonical", "value"),
    [
        ("service", "event_category", "analysis"),
        ("outcome", "event_outcome", "pending"),
        ("cluster_id", "cluster_name", "eu-1"),
    ],
)
def test_older_name_of_a_filter_does_the_same(api: Api, alias: str, canonical: str, value: str) -> None:
    ours = unique()
    match, *_ = stored(
        api, an_event(correlation_id=ours, **{canonical: value}), an_event(correlation_id=ours)
    )

    by_alias = api.get(EVENTS, {"correlation_id": ours, alias: value})
    by_name = api.get(EVENTS, {"correlation_id": ours, canonical: value})

    assert ids(by_alias) == ids(by_name) == [match]


def test_canonical_name_wins_over_its_alias(api: Api) -> None:
    ours = unique()
    match, *_ = stored(
        api,
        an_event(correlation_id=ours, event_category="workflow"),
        an_event(correlation_id=ours, event_category="gateway"),
    )

    answer = api.get(EVENTS, {"correlation_id": ours, "service": "gateway", "event_category": "workflow"})

    assert ids(answer) == [match]


@pytest.mark.parametrize(
    "parameters",
    [
        {"event_category": "unheard-of"},
        {"severity": "no such severity"},
        {"event_type": "x" * 3000},
        {"correlation_id": "' OR '1'='1"},
        {"correlation_id": "x'; DROP TABLE audit_events; --"},
        {"correlation_id": "%"},
    ],
)
def test_values_that_nothing_has_match_nothing(api: Api, parameters: dict[str, str]) -> None:
    stored(api, an_event())

    answer = api.get(EVENTS, parameters)

    assert ids(answer) == []
    assert answer.json["pagination"]["total"] == 0


def test_unknown_and_empty_parameters_are_no_filters(api: Api) -> None:
    ours = unique()
    all_ours = stored(api, an_event(correlation_id=ours), an_event(correlation_id=ours))

    answer = api.get(
        EVENTS,
        {"correlation_id": ours, "foo": "bar", "severity": "", "since": "", "event_outcome": "", "order": ""},
    )

    assert sorted(ids(answer)) == sorted(all_ours)


def test_of_a_repeated_parameter_the_first_value_counts(api: Api) -> None:
    ours, other = unique(), unique()
    stored(api, an_event(correlation_id=ours), an_event(correlation_id=other))

    answer = api.request("GET", f"{EVENTS}?correlation_id={ours}&correlation_id={other}")

    assert [event["correlation_id"] for event in answer.json["data"]] == [ours]


def test_pages_by_offset_are_disjoint_and_complete(api: Api) -> None:
    ours = unique()
    stored_ids = stored(api, *(an_event(correlation_id=ours) for _ in range(150)))

    pages = [api.get(EVENTS, {"correlation_id": ours, "limit": 50, "offset": n}) for n in (0, 50, 100)]

    assert [len(ids(page)) for page in pages] == [50, 50, 50]
    assert {event_id for page in pages for event_id in ids(page)} == set(stored_ids)
    assert [page.json["pagination"]["has_more"] for page in pages] == [True, True, False]
    assert [page.json["pagination"]["offset"] for page in pages] == [0, 50, 100]
    assert [page.json["pagination"]["next_cursor"] is None for page in pages] == [False, False, True]


def test_last_page_has_what_is_left(api: Api) -> None:
    ours = unique()
    stored(api, *(an_event(correlation_id=ours) for _ in range(3)))

    answer = api.get(EVENTS, {"correlation_id": ours, "limit": 2, "offset": 1})

    assert len(ids(answer)) == 2
    assert answer.json["pagination"]["has_more"] is False


@pytest.mark.parametrize("limit", [1, 1000])
def test_both_ends_of_the_limit_are_allowed(api: Api, limit: int) -> None:
    stored(api, an_event(), an_event())

    answer = api.get(EVENTS, {"limit": limit})

    assert 1 <= len(ids(answer)) <= limit
    assert answer.json["pagination"]["limit"] == limit


@pytest.mark.parametrize("offset", [2**31, 2**63 - 1])
def test_offset_beyond_the_end_still_tells_the_total(api: Api, offset: int) -> None:
    ours = unique()
    stored(api, *(an_event(correlation_id=ours) for _ in range(3)))

    counted = api.get(EVENTS, {"correlation_id": ours, "offset": offset})
    uncounted = api.get(EVENTS, {"correlation_id": ours, "offset": offset, "include_total": "false"})

    assert ids(counted) == ids(uncounted) == []
    assert counted.json["pagination"]["total"] == 3
    assert counted.json["pagination"]["has_more"] is False
    assert uncounted.json["pagination"]["has_more"] is False


def test_without_the_count_a_page_still_knows_whether_there_is_more(api: Api) -> None:
    ours = unique()
    stored(api, *(an_event(correlation_id=ours) for _ in range(4)))
    uncounted = {"correlation_id": ours, "include_total": "false", "limit": 2}

    first = api.get(EVENTS, uncounted)
    last = api.get(EVENTS, uncounted | {"offset": 2})

    assert [page.json["pagination"]["total"] for page in (first, last)] == [None, None]
    assert [page.json["pagination"]["has_more"] for page in (first, last)] == [True, False]
    assert [len(ids(page)) for page in (first, last)] == [2, 2]


def test_head_answers_like_get_without_a_body(api: Api) -> None:
    answer = api.request("HEAD", f"{EVENTS}?limit=1")

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.body == b""
