"""``GET /api/v1/audit/events``: parameters that are refused."""

import pytest

from tests.support.builders import EVENTS
from tests.support.http import Api, assert_problem
from tests.support.raw_http import raw_get


@pytest.mark.parametrize(
    ("parameter", "value", "fragment"),
    [
        ("limit", "0", "must be at least 1"),
        ("limit", "-1", "must be at least 1"),
        ("limit", "1001", "must be at most 1000"),
        ("limit", "9" * 500, "must be at most 1000"),
        ("limit", "ten", "must be an integer"),
        ("limit", "", "must be an integer"),
        ("limit", "5x", "must be an integer"),
        ("limit", "1.5", "must be an integer"),
        ("limit", " 5", "must be an integer"),
        ("limit", "\u0665", "must be an integer"),
        ("offset", "-1", "must be at least 0"),
        ("offset", "-" + "9" * 500, "must be at least 0"),
        ("offset", "9223372036854775808", "must be at most 9223372036854775807"),
        ("offset", "", "must be an integer"),
        ("event_outcome", "maybe", "must be one of: success, failure, pending (got 'maybe')"),
        ("event_outcome", "x" * 30, "must be one of: success, failure, pending"),
        ("event_outcome", " ", "must be one of"),
        ("event_outcome", "SUCCESS", "must be one of"),
        ("order", "descending", "must be one of: desc, asc"),
        ("format", "xml", "must be one of: json, ndjson"),
        ("include_total", "0", "must be a boolean"),
        ("parent_event_id", "abc", "must be a valid UUID"),
        ("parent_event_id", " ", "must be a valid UUID"),
        ("since", "soon", "invalid time format: soon (expected 24h, 7d or an RFC 3339 timestamp)"),
        ("since", "-1h", "invalid time format"),
        ("until", "1h30d!", "invalid time format"),
        ("until", "999999999d", "invalid time format"),
        ("since", "9" * 400 + "d", "invalid time format"),
        ("since", "2026-02-30", "invalid time format"),
        ("since", "2026-01-14T24:00:00", "invalid time format"),
        ("since", "2026-01-14 08:00:00Z", "invalid time format"),
        ("cursor", "!!", "must be a cursor"),
        ("cursor", "e30", "must be a cursor"),
        ("cursor", "W1tbW1tb", "must be a cursor"),
    ],
)
def test_bad_value_is_refused_by_name(api: Api, parameter: str, value: str, fragment: str) -> None:
    answer = api.get(EVENTS, {parameter: value})

    problem = assert_problem(answer, 400, "validation-error")
    assert list(problem["field_errors"]) == [parameter]
    assert fragment in problem["field_errors"][parameter]
    assert f"{parameter} - " in problem["detail"]
    assert fragment in problem["detail"]
    assert problem["resource"] == "query parameters"


def test_alias_is_refused_under_the_canonical_name(api: Api) -> None:
    answer = api.get(EVENTS, {"outcome": "maybe", "start_time": "soon"})

    problem = assert_problem(answer, 400, "validation-error")
    assert set(problem["field_errors"]) == {"event_outcome", "since"}


def test_every_bad_parameter_is_named(api: Api) -> None:
    answer = api.get(
        EVENTS,
        {"limit": "0", "offset": "x", "since": "soon", "cursor": "!!", "event_data_contains": "[1]"},
    )

    problem = assert_problem(answer, 400, "validation-error")
    assert set(problem["field_errors"]) == {"limit", "offset", "since", "cursor", "event_data_contains"}


@pytest.mark.parametrize(
    "query",
    ["correlation_id=100%", "foo=%zz", "correlation_id=%0", "correlation_id=a%00b", "%00=1", "foo=%ff"],
)
def test_query_that_cannot_be_decoded_is_refused_as_a_whole(api: Api, query: str) -> None:
    status, body = raw_get(api, f"{EVENTS}?{query}")

    assert status == 400
    assert b'"https://kubernaut.ai/problems/validation-error"' in body
    assert b'"field_errors":{"query":' in body
