"""``GET /api/v1/success-rate/…``: percentages, their worth, and what they are made of."""

from typing import Any

import pytest

from tests.support.builders import now, rfc3339, unique
from tests.support.http import Api, assert_problem
from tests.support.incident_builders import BATCH, SUCCESS_RATE, an_incident

INCIDENT_TYPE = f"{SUCCESS_RATE}/incident-type"
WORKFLOW = f"{SUCCESS_RATE}/workflow"
MULTI = f"{SUCCESS_RATE}/multi-dimensional"
EVERY_ENDPOINT = [f"{INCIDENT_TYPE}?incident_type=x", f"{WORKFLOW}?workflow_id=x", f"{MULTI}?action_type=x"]


def totals(rate: dict[str, Any]) -> tuple[int, int, int, float]:
    return (
        rate["total_executions"],
        rate["successful_executions"],
        rate["failed_executions"],
        rate["success_rate"],
    )


def test_rate_of_an_incident_type_tells_which_workflows_acted(twelve: Api) -> None:
    rate = twelve.get(f"{INCIDENT_TYPE}?incident_type=pod-oom-killer").json

    assert totals(rate) == (3, 2, 1, 200 / 3)
    assert (rate["incident_type"], rate["time_range"]) == ("pod-oom-killer", "7d")
    assert (rate["confidence"], rate["min_samples_met"]) == ("insufficient_data", False)
    assert rate["breakdown_by_workflow"] == [
        share("v1.2", 2, 1.0),
        share("v1.1", 1, 0.0),
    ]
    assert rate["ai_execution_mode"] == {"catalog_selected": 3, "chained": 0, "manual_escalation": 0}


def share(version: str, executions: int, rate: float) -> dict[str, Any]:
    return {
        "workflow_id": "pod-oom-recovery",
        "workflow_version": version,
        "executions": executions,
        "success_rate": rate,
        "success_rate_percent": 100 * rate,
    }


def test_min_samples_does_not_change_the_confidence(twelve: Api) -> None:
    rate = twelve.get(f"{INCIDENT_TYPE}?incident_type=pod-oom-killer&min_samples=3").json

    assert (rate["min_samples_met"], rate["confidence"]) == (True, "insufficient_data")


def test_longer_window_counts_more(twelve: Api) -> None:
    rate = twelve.get(f"{INCIDENT_TYPE}?incident_type=pod-oom-killer&time_range=30d").json

    assert totals(rate) == (4, 3, 1, 75.0)


def test_actions_without_a_workflow_are_in_the_totals_only(twelve: Api) -> None:
    rate = twelve.get(f"{INCIDENT_TYPE}?incident_type=high-cpu").json

    assert totals(rate) == (4, 3, 1, 75.0)
    assert rate["ai_execution_mode"] == {"catalog_selected": 2, "chained": 1, "manual_escalation": 2}
    assert [(s["workflow_id"], s["workflow_version"], s["executions"], s["success_rate"])
            for s in rate["breakdown_by_workflow"]] == [("cpu-scale", "v2.0", 2, 1.0)]  # fmt: skip


def test_unfinished_action_counts_in_the_total(twelve: Api) -> None:
    assert totals(twelve.get(f"{INCIDENT_TYPE}?incident_type=disk-pressure").json) == (2, 1, 0, 50.0)


def test_nothing_found_is_a_rate_of_zero(twelve: Api) -> None:
    rate = twelve.get(f"{INCIDENT_TYPE}?incident_type=unknown").json

    assert totals(rate) == (0, 0, 0, 0.0)
    assert rate["confidence"] == "insufficient_data"
    assert rate["breakdown_by_workflow"] == []
    assert rate["ai_execution_mode"] == {"catalog_selected": 0, "chained": 0, "manual_escalation": 0}


@pytest.mark.parametrize(("path", "name"), [(INCIDENT_TYPE, "incident_type"), (WORKFLOW, "workflow_id")])
@pytest.mark.parametrize("query", ["time_range=7d", "time_range=nonsense&min_samples=0"])
def test_dimension_is_required_and_missed_first(twelve: Api, path: str, name: str, query: str) -> None:
    for empty in ("", f"&{name}="):
        problem = assert_problem(twelve.get(f"{path}?{query}{empty}"), 400, "validation-error")

        assert problem["title"] == "Validation Error"
        assert problem["detail"].startswith(name)
        assert problem["instance"] == path


@pytest.mark.parametrize("path", EVERY_ENDPOINT)
@pytest.mark.parametrize(
    "time_range",
    [
        "1x", "abc", "7days", "-1d", "0d", "9999999999d", "1.5h", "7D", "3651d", "87601h", "1d1h",
        "%D9%A1d", "9" * 5000 + "d",
    ],
)  # fmt: skip
def test_window_follows_the_grammar(twelve: Api, path: str, time_range: str) -> None:
    problem = assert_problem(twelve.get(f"{path}&time_range={time_range}"), 400, "validation-error")

    assert "time_range" in problem["detail"]


@pytest.mark.parametrize("path", EVERY_ENDPOINT)
@pytest.mark.parametrize("time_range", ["1h", "24h", "14d", "36h", "90d", "3650d", "87600h", "007d"])
def test_window_is_echoed_as_sent(twelve: Api, path: str, time_range: str) -> None:
    assert twelve.get(f"{path}&time_range={time_range}").json["time_range"] == time_range


@pytest.mark.parametrize("path", EVERY_ENDPOINT)
@pytest.mark.parametrize("min_samples", ["abc", "1.5", "0", "-5", "9223372036854775808"])
def test_min_samples_is_a_positive_integer(twelve: Api, path: str, min_samples: str) -> None:
    problem = assert_problem(twelve.get(f"{path}&min_samples={min_samples}"), 400, "validation-error")

    assert "min_samples" in problem["detail"]
    assert "positive" in problem["detail"]


def test_min_samples_may_be_large(twelve: Api) -> None:
    rate = twelve.get(f"{INCIDENT_TYPE}?incident_type=pod-oom-killer&min_samples=1000000").json

    assert rate["min_samples_met"] is False


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [
        ("High%20CPU%20Usage", "High CPU Usage"),
        ("pod-oom-killer_v2.0", "pod-oom-killer_v2.0"),
        ("a/b", "a/b"),
    ],
)
def test_dimension_is_echoed_as_decoded(twelve: Api, sent: str, echoed: str) -> None:
    assert twelve.get(f"{INCIDENT_TYPE}?incident_type={sent}").json["incident_type"] == echoed


@pytest.mark.parametrize(
    ("executions", "confidence"),
    [(4, "insufficient_data"), (5, "low"), (19, "low"), (20, "medium"), (99, "medium"), (100, "high")],
)
def test_confidence_grows_with_the_executions(api: Api, executions: int, confidence: str) -> None:
    incident_type, at = unique("conf"), rfc3339(now(hours=-1))
    items = [
        an_incident(incident_type=incident_type, action_timestamp=at, execution_status="completed")
        for _ in range(executions)
    ]
    api.post(BATCH, items)

    rate = api.get(INCIDENT_TYPE, {"incident_type": incident_type}).json

    assert totals(rate) == (executions, executions, 0, 100.0)
    assert rate["confidence"] == confidence
    assert rate["min_samples_met"] is (executions >= 5)


def test_rate_of_a_workflow_covers_all_its_versions(twelve: Api) -> None:
    rate = twelve.get(f"{WORKFLOW}?workflow_id=pod-oom-recovery&time_range=30d").json

    assert totals(rate) == (4, 3, 1, 75.0)
    assert (rate["workflow_id"], rate["workflow_version"]) == ("pod-oom-recovery", "")
    assert rate["breakdown_by_incident_type"] == [
        {
            "incident_type": "pod-oom-killer",
            "executions": 4,
            "success_rate": 0.75,
            "success_rate_percent": 75.0,
        }
    ]


def test_rate_of_one_version_of_a_workflow(twelve: Api) -> None:
    rate = twelve.get(f"{WORKFLOW}?workflow_id=pod-oom-recovery&workflow_version=v1.2").json

    assert totals(rate) == (2, 2, 0, 100.0)
    assert rate["workflow_version"] == "v1.2"


def test_version_is_echoed_as_decoded(twelve: Api) -> None:
    rate = twelve.get(f"{WORKFLOW}?workflow_id=w&workflow_version=v1.0.0%2Bbuild123").json

    assert rate["workflow_version"] == "v1.0.0+build123"


def test_breakdown_comes_by_size_then_by_key_and_names_no_version_as_empty(api: Api) -> None:
    incident_type, at = unique("type"), rfc3339(now(hours=-1))
    workflows = [("b", "v1"), ("b", "v1"), ("b", None), ("a", "v2"), ("a", "v1"), ("a", None), (None, None)]
    api.post(
        BATCH,
        [
            an_incident(incident_type=incident_type, action_timestamp=at, workflow_id=w, workflow_version=v)
            for w, v in workflows
        ],
    )

    rate = api.get(INCIDENT_TYPE, {"incident_type": incident_type}).json

    shares = [
        (s["workflow_id"], s["workflow_version"], s["executions"]) for s in rate["breakdown_by_workflow"]
    ]
    assert shares == [("b", "v1", 2), ("a", "", 1), ("a", "v1", 1), ("a", "v2", 1), ("b", "", 1)]
    assert rate["total_executions"] == 7


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("action_type=scale_deployment", (4, 3, 1, 75.0)),
        ("incident_type=pod-oom-killer&action_type=increase_memory", (2, 1, 1, 50.0)),
        ("workflow_id=cpu-scale&workflow_version=v2.0", (2, 2, 0, 100.0)),
        ("workflow_id=cpu-scale&workflow_version=v1.0", (0, 0, 0, 0.0)),
    ],
)
def test_dimensions_narrow_the_rate_together(twelve: Api, query: str, expected: tuple[Any, ...]) -> None:
    assert totals(twelve.get(f"{MULTI}?{query}").json) == expected


def test_absent_dimensions_are_empty(twelve: Api) -> None:
    rate = twelve.get(f"{MULTI}?action_type=scale_deployment").json

    assert rate["dimensions"] == {
        "incident_type": "", "workflow_id": "", "workflow_version": "", "action_type": "scale_deployment",
    }  # fmt: skip
    assert rate["ai_execution_mode"] == {"catalog_selected": 2, "chained": 1, "manual_escalation": 2}
    assert not any(name.startswith("breakdown") for name in rate)


def test_flags_count_once_each(twelve: Api) -> None:
    rate = twelve.get(f"{MULTI}?workflow_id=cpu-scale&workflow_version=v2.0").json

    assert rate["ai_execution_mode"] == {"catalog_selected": 2, "chained": 1, "manual_escalation": 0}


@pytest.mark.parametrize("query", ["time_range=7d", "", "workflow_version=v1", "incident_type=&workflow_id="])
def test_one_dimension_is_required(twelve: Api, query: str) -> None:
    problem = assert_problem(twelve.get(f"{MULTI}?{query}"), 400, "validation-error")

    assert problem["title"] == "Invalid Query Parameter"
    assert "at least one dimension filter" in problem["detail"]


def test_version_requires_a_workflow(twelve: Api) -> None:
    answer = twelve.get(f"{MULTI}?incident_type=x&workflow_version=v1")

    problem = assert_problem(answer, 400, "validation-error")
    assert problem["title"] == "Invalid Query Parameter"
    assert "workflow_version requires workflow_id" in problem["detail"]
    assert problem["instance"] == MULTI


@pytest.mark.parametrize("path", EVERY_ENDPOINT)
def test_bad_encoding_is_an_invalid_parameter(twelve: Api, path: str) -> None:
    assert_problem(twelve.get(f"{path}&other=%ED%A0%80"), 400, "invalid-parameter")
