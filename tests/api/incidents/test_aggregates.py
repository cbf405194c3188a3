"""``GET /api/v1/incidents/aggregate/…``: counts by workflow, namespace, severity and day."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from tests.support.http import Api, assert_problem
from tests.support.incident_builders import AGGREGATE
from tests.support.incident_stand import ARABIC, CHINESE, MIXED, ROCKET, incident_stand
from tests.support.servers import Servers

SUCCESS_RATE = f"{AGGREGATE}/success-rate"
BY_NAMESPACE = f"{AGGREGATE}/by-namespace"
BY_SEVERITY = f"{AGGREGATE}/by-severity"
TREND = f"{AGGREGATE}/trend"


@pytest.fixture(scope="module")
def empty(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A client of a service without incidents."""
    with incident_stand(servers, tmp_path_factory.mktemp("empty")) as stand:
        yield stand.api


@pytest.mark.parametrize("query", ["", "?workflow_id=", "?Workflow_id=x", "?workflow_id"])
def test_success_rate_needs_a_workflow(twelve: Api, query: str) -> None:
    problem = assert_problem(twelve.get(f"{SUCCESS_RATE}{query}"), 400, "missing-parameter")

    assert problem["title"] == "Missing Parameter"
    assert "workflow_id" in problem["detail"]
    assert list(problem["field_errors"]) == ["workflow_id"]


@pytest.mark.parametrize(
    ("workflow_id", "total", "successes", "failures", "rate"),
    [
        ("pod-oom-recovery", 4, 3, 1, 0.75),
        ("legacy-wf-1", 1, 0, 1, 0.0),
        ("none", 0, 0, 0, 0.0),
        ("disk-cleanup", 2, 1, 0, 0.5),
    ],
)
def test_success_rate_of_a_workflow_is_a_fraction(  # noqa: PLR0913, PLR0917 - one row of a table
    twelve: Api, workflow_id: str, total: int, successes: int, failures: int, rate: float
) -> None:
    answer = twelve.get(SUCCESS_RATE, {"workflow_id": workflow_id})

    assert answer.json == {
        "workflow_id": workflow_id,
        "total_count": total,
        "success_count": successes,
        "failure_count": failures,
        "success_rate": rate,
    }
    assert answer.headers["Link"] == '</api/v1/success-rate/workflow>; rel="successor-version"'


def test_success_rate_of_a_window_counts_only_that(twelve: Api) -> None:
    answer = twelve.get(SUCCESS_RATE, {"workflow_id": "pod-oom-recovery", "time_range": "7d"})

    assert (answer.json["total_count"], answer.json["success_count"]) == (3, 2)


@pytest.mark.parametrize("path", [f"{SUCCESS_RATE}?workflow_id=x&", f"{BY_NAMESPACE}?", f"{BY_SEVERITY}?"])
@pytest.mark.parametrize("time_range", ["1x", "7days", "0d", "1.5h", "7D", "9999999999d", "-1d"])
def test_window_follows_the_grammar(twelve: Api, path: str, time_range: str) -> None:
    assert_problem(twelve.get(f"{path}time_range={time_range}"), 400, "invalid-parameter")


def test_namespaces_come_by_count_then_in_the_order_of_bytes(twelve: Api) -> None:
    found = twelve.get(BY_NAMESPACE).json["aggregations"]

    assert [(each["namespace"], each["count"]) for each in found] == [
        ("production", 5),
        ("staging", 2),
        ("kube-system", 1),
        (MIXED, 1),
        (ROCKET, 1),
        (ARABIC, 1),
        (CHINESE, 1),
    ]
    assert found[0] == {
        "namespace": "production", "count": 5, "success_count": 3, "failure_count": 2, "success_rate": 0.6,
    }  # fmt: skip
    assert found[1]["success_rate"] == 0.5


def test_namespaces_of_a_window(twelve: Api) -> None:
    found = twelve.get(f"{BY_NAMESPACE}?time_range=24h").json["aggregations"]

    assert [(each["namespace"], each["count"]) for each in found] == [("production", 3), ("staging", 2)]


def test_severities_come_worst_first(twelve: Api) -> None:
    found = twelve.get(BY_SEVERITY).json["aggregations"]

    assert [(each["severity"], each["count"]) for each in found] == [
        ("critical", 5), ("high", 3), ("medium", 1), ("low", 1), ("warning", 1), ("info", 1),
    ]  # fmt: skip


def test_severities_that_do_not_occur_are_left_out(twelve: Api) -> None:
    found = twelve.get(f"{BY_SEVERITY}?time_range=24h").json["aggregations"]

    assert [(each["severity"], each["count"]) for each in found] == [
        ("critical", 2), ("high", 1), ("medium", 1), ("warning", 1),
    ]  # fmt: skip
    assert [e["severity"] for e in twelve.get(f"{BY_SEVERITY}?time_range=2h").json["aggregations"]] == [
        "critical"
    ]


@pytest.mark.parametrize(
    ("query", "period", "total"),
    [
        ("", "7d", 9),
        ("?period=", "7d", 9),
        ("?period=7d", "7d", 9),
        ("?period=30d", "30d", 11),
        ("?period=90d", "90d", 12),
    ],
)
def test_trend_counts_by_day_oldest_first(twelve: Api, query: str, period: str, total: int) -> None:
    trend = twelve.get(f"{TREND}{query}").json

    days = [point["date"] for point in trend["data_points"]]
    assert trend["period"] == period
    assert sum(point["count"] for point in trend["data_points"]) == total
    assert all(point["count"] > 0 for point in trend["data_points"])
    assert days == sorted(set(days))


def test_filled_trend_has_every_day(twelve: Api) -> None:
    trend = twelve.get(f"{TREND}?period=30d&fill=zero").json["data_points"]

    days = [date.fromisoformat(point["date"]) for point in trend]
    today = datetime.now(UTC).date()
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(days))
    assert (days[0], days[-1]) == (today - timedelta(days=30), today)
    assert sum(point["count"] for point in trend) == 11


@pytest.mark.parametrize("period", ["1d", "7D", "7d'--", "07d", "7d%20", "365d"])
def test_period_is_one_of_three(twelve: Api, period: str) -> None:
    problem = assert_problem(twelve.get(f"{TREND}?period={period}"), 400, "invalid-parameter")

    assert all(value in problem["detail"] for value in ("7d", "30d", "90d"))


def test_fill_is_none_or_zero(twelve: Api) -> None:
    assert_problem(twelve.get(f"{TREND}?fill=one"), 400, "invalid-parameter")
    assert twelve.get(f"{TREND}?fill=none").json == twelve.get(TREND).json


@pytest.mark.parametrize("path", [f"{SUCCESS_RATE}?workflow_id=a&", f"{BY_NAMESPACE}?", f"{TREND}?"])
def test_bad_encoding_is_refused(twelve: Api, path: str) -> None:
    assert_problem(twelve.get(f"{path}x=%FF"), 400, "invalid-parameter")


def test_empty_table_gives_zeros_and_empty_arrays(empty: Api) -> None:
    assert empty.get(f"{SUCCESS_RATE}?workflow_id=w").json == {
        "workflow_id": "w", "total_count": 0, "success_count": 0, "failure_count": 0, "success_rate": 0.0,
    }  # fmt: skip
    assert empty.get(BY_NAMESPACE).json == {"aggregations": []}
    assert empty.get(BY_SEVERITY).json == {"aggregations": []}
    assert empty.get(TREND).json == {"period": "7d", "data_points": []}


def test_rates_without_fraction_are_written_as_floats(empty: Api, twelve: Api) -> None:
    assert b'"success_rate":0.0' in empty.get(f"{SUCCESS_RATE}?workflow_id=w").body
    assert b'"success_rate":1.0' in twelve.get(f"{SUCCESS_RATE}?workflow_id=cpu-scale").body
