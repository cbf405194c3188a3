"""``GET /api/v1/incidents`` with parameters that are refused, and with text that only looks dangerous."""

import time
from urllib.parse import quote

import pytest

from tests.support.http import Api, assert_problem
from tests.support.incident_builders import INCIDENTS
from tests.support.incident_stand import Stand, ids

SEVERITIES = ["critical", "high", "medium", "low", "warning", "info"]


@pytest.mark.parametrize(
    "limit",
    [
        "0", "-1", "1001", "9999", "10000", "abc", "10.5", "1e2", "0x10", "1_000", "+5", "%205", "5%20",
        "--5",
        "99999999999999999999999", "9" * 4000, "-" + "9" * 4000, "%D9%A1%D9%A2", "%EF%BC%95",
        "1%3B%20SELECT%201", "%2B", "null", "1%0A",
    ],
)  # fmt: skip
def test_limit_is_an_integer_from_1_to_1000(twelve: Api, limit: str) -> None:
    problem = assert_problem(twelve.get(f"{INCIDENTS}?limit={limit}"), 400, "invalid-limit")

    assert problem["title"] == "Invalid Limit"
    assert "limit" in problem["detail"]
    assert problem["instance"] == INCIDENTS
    assert problem["field_errors"] == {"limit": "must be an integer from 1 to 1000"}


def test_problem_repeats_a_short_part_of_the_value(twelve: Api) -> None:
    problem = assert_problem(twelve.get(f"{INCIDENTS}?limit=%1B%0A{'x' * 500}"), 400, "invalid-limit")

    assert problem["detail"].endswith(f"received '\\x1b\\n{'x' * 98}…'")


@pytest.mark.parametrize("offset", ["-1", "abc", "9223372036854775808", "1.0", "9" * 4000])
def test_offset_is_an_integer_of_64_bits(twelve: Api, offset: str) -> None:
    problem = assert_problem(twelve.get(f"{INCIDENTS}?offset={offset}"), 400, "invalid-offset")

    assert problem["title"] == "Invalid Offset"
    assert "offset" in problem["detail"]


@pytest.mark.parametrize(
    "severity",
    [
        "invalid",
        "INVALID_VALUE",
        "Critical",
        "%E4%B8%A5%E9%87%8D",
        "%27%20OR%20%271%27%3D%271",
        "bogus&severity=high",
    ],
)
def test_severity_is_one_of_six(twelve: Api, severity: str) -> None:
    problem = assert_problem(twelve.get(f"{INCIDENTS}?severity={severity}"), 400, "invalid-severity")

    assert problem["title"] == "Invalid Severity"
    assert all(value in problem["detail"] for value in SEVERITIES)


@pytest.mark.parametrize(
    ("query", "slug"),
    [
        ("status=bogus", "invalid-status"),
        ("status=Completed", "invalid-status"),
        ("count=some", "invalid-parameter"),
        ("view=everything", "invalid-parameter"),
        ("envelope=none", "invalid-parameter"),
        ("cursor=not-a-cursor", "invalid-cursor"),
        ("cursor=e30", "invalid-cursor"),
        ("cursor=%E2%82%AC", "invalid-cursor"),
        ("cursor=" + "A" * 513, "invalid-cursor"),
    ],
)
def test_other_parameters_have_slugs_of_their_own(twelve: Api, query: str, slug: str) -> None:
    problem = assert_problem(twelve.get(f"{INCIDENTS}?{query}"), 400, slug)

    assert list(problem["field_errors"]) == [query.partition("=")[0]]


@pytest.mark.parametrize(
    "since",
    [
        "invalid", "-24h", "0h", "24", "h", "1h1h", "1h1d", "1.5h", "3651d", "99999999999999d", "24H",
        "2026-W12", "2026-W12-1", "20260101", "2026-01-01T00:00:00+02:00", "2026-13-01", "2026-02-30",
        "2026-01-01T25:00:00Z",
        "2026-01-01%2000:00:00Z", "2026-01-01T00:00Z", "%D9%A1h", "now",
    ],
)  # fmt: skip
def test_times_follow_the_grammar(twelve: Api, since: str) -> None:
    for name in ("since", "until"):
        problem = assert_problem(twelve.get(f"{INCIDENTS}?{name}={since}"), 400, "invalid-time-range")

        assert problem["title"] == "Invalid Time Range"
        assert list(problem["field_errors"]) == [name]


def test_bounds_of_time_have_to_be_in_order(twelve: Api) -> None:
    assert_problem(twelve.get(f"{INCIDENTS}?since=2d&until=30d"), 400, "invalid-time-range")


def test_first_fault_chooses_the_problem_and_all_are_named(twelve: Api) -> None:
    answer = twelve.get(f"{INCIDENTS}?envelope=x&severity=x&status=x&since=x&offset=-1&limit=0&cursor=x")

    problem = assert_problem(answer, 400, "invalid-limit")
    assert list(problem["field_errors"]) == [
        "limit", "offset", "cursor", "severity", "status", "since", "envelope",
    ]  # fmt: skip


def test_unknown_parameter_is_refused_when_the_client_wants_strict_handling(twelve: Api) -> None:
    answer = twelve.get(f"{INCIDENTS}?foo=bar", Prefer="respond-async, handling=strict")

    problem = assert_problem(answer, 400, "invalid-parameter")
    assert "foo" in problem["detail"]


def test_known_parameters_pass_strict_handling(twelve: Api) -> None:
    assert twelve.get(f"{INCIDENTS}?namespace=production", Prefer="handling=strict").status == 200
    assert twelve.get(f"{INCIDENTS}?foo=bar", Prefer="handling=lenient").status == 200


@pytest.mark.parametrize(
    "value", ["%00", "a%00b", "%FF", "%ED%A0%80", "%C3", "%E4%B8", "%80", "%F8%88%80%80%80"]
)
@pytest.mark.parametrize("name", ["namespace", "unknown", "limit"])
def test_text_that_cannot_be_decoded_is_refused(twelve: Api, name: str, value: str) -> None:
    assert_problem(twelve.get(f"{INCIDENTS}?{name}={value}"), 400, "invalid-parameter")


INJECTIONS = [
    "'; DROP TABLE resource_action_traces--", "' OR '1'='1", "' UNION SELECT * FROM users--",
    "test'; --",
    "x';SELECT pg_sleep(10)--", "prod%", "*", "_roduction", "production' AND 1=1 --",
    "\\'; DELETE FROM x; --",
    "1; SELECT pg_sleep(10)", "$$; SELECT 1; $$", "' || (SELECT version()) || '", "admin'/*", '" OR ""="',
    "%(namespace)s", ":namespace", "%s", "{0}", "${jndi:ldap://x}", "<script>alert(1)</script>",
    "\u02bc OR 1=1",
    "a'||pg_sleep(10)--", "'; COPY (SELECT 1) TO PROGRAM 'id'--", "\x01\x02", "%27",
    "../../etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("name", ["namespace", "cluster", "action_type", "alert_name", "workflow_id"])
@pytest.mark.parametrize("value", INJECTIONS)
def test_text_that_looks_like_sql_finds_nothing(twelve: Api, name: str, value: str) -> None:
    started = time.monotonic()

    answer = twelve.get(f"{INCIDENTS}?{name}={quote(value)}")

    assert ids(answer) == []
    assert time.monotonic() - started < 5


def test_table_is_as_it_was_after_all_of_them(twelve_stand: Stand) -> None:
    for value in INJECTIONS:
        for name in ("signal_name", "environment", "correlation_id", "action_id", "incident_type"):
            assert ids(twelve_stand.api.get(INCIDENTS, {name: value})) == []
        for name in ("severity", "status", "limit", "since", "cursor"):
            assert twelve_stand.api.get(INCIDENTS, {name: value}).status == 400

    assert twelve_stand.api.get(INCIDENTS).json["total"] == 12
