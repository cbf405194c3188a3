"""``GET /api/v1/incidents``: pages, filters, times, and what a row shows."""

import re
from typing import Any

import pytest

from tests.support.http import Api, assert_problem
from tests.support.incident_builders import INCIDENTS
from tests.support.incident_stand import ARABIC, CHINESE, MIXED, ROCKET, Stand, ids
from tests.support.waiting import eventually

NEWEST_FIRST = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 10, 12]


def test_everything_comes_newest_first_and_equal_times_by_id(twelve: Api) -> None:
    answer = twelve.get(INCIDENTS)

    page = answer.json
    assert ids(answer) == NEWEST_FIRST
    assert answer.headers["Content-Type"] == "application/json"
    assert page["pagination"] == {
        "limit": 100, "offset": 0, "total": 12, "has_more": False, "next_cursor": None,
    }  # fmt: skip
    assert page["data"] == page["incidents"]
    assert page["total"] == 12


@pytest.mark.parametrize(
    ("query", "found", "has_more"),
    [
        ("limit=1", [1], True),
        ("limit=1000", NEWEST_FIRST, False),
        ("limit=12", NEWEST_FIRST, False),
        ("limit=", NEWEST_FIRST, False),
        ("limit", NEWEST_FIRST, False),
        ("limit=%2B5", [1, 2, 3, 4, 5], True),
        ("limit=0000000000000000000000000000005", [1, 2, 3, 4, 5], True),
        ("offset=0", NEWEST_FIRST, False),
        ("offset=-0", NEWEST_FIRST, False),
        ("limit=5&offset=10", [10, 12], False),
        ("limit=5&offset=5", [6, 7, 8, 9, 11], True),
        ("limit=5&offset=7", [8, 9, 11, 10, 12], False),
        ("offset=12", [], False),
        ("offset=9223372036854775807", [], False),
        ("limit=3&limit=4", [1, 2, 3], True),
        ("Limit=5", NEWEST_FIRST, False),
    ],
)
def test_limit_and_offset_cut_the_result(twelve: Api, query: str, found: list[int], has_more: bool) -> None:  # noqa: FBT001
    answer = twelve.get(f"{INCIDENTS}?{query}")

    assert ids(answer) == found
    assert answer.json["total"] == answer.json["pagination"]["total"] == 12
    assert answer.json["pagination"]["has_more"] is has_more
    assert isinstance(answer.json["pagination"]["next_cursor"], str) is has_more


def test_pagination_names_the_values_used(twelve: Api) -> None:
    pagination = twelve.get(f"{INCIDENTS}?limit=%2B7&offset=2").json["pagination"]

    assert (pagination["limit"], pagination["offset"]) == (7, 2)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("namespace=production", [1, 2, 3, 11, 10]),
        ("namespace=production&severity=high", [3]),
        ("severity=critical", [1, 2, 8, 11, 10]),
        ("severity=high", [3, 9, 12]),
        ("severity=warning", [4]),
        ("severity=medium", [5]),
        ("severity=low", [6]),
        ("severity=info", [7]),
        ("severity=", NEWEST_FIRST),
        ("severity=high&severity=bogus", [3, 9, 12]),
        ("cluster=eu-1", [1, 2, 3, 6, 8, 9, 11, 10]),
        ("environment=prod", [1, 2, 3, 6, 7, 8, 9, 11, 10]),
        ("action_type=restart_pod", [1, 11, 10]),
        ("signal_name=DiskPressure", [4, 5]),
        ("alert_name=DiskPressure", [5]),
        ("alert_name=NodeDiskPressure", [4]),
        ("status=failed", [3, 7, 11]),
        ("status=pending", [5]),
        ("incident_type=high-cpu", [6, 7, 8, 9]),
        ("workflow_id=cpu-scale", [8, 9]),
        ("action_id=a-07", [7]),
        ("correlation_id=nothing", []),
        ("namespace=nonexistent", []),
        ("namespace=Production", []),
        ("namespace=%20production", []),
        ("foo=bar", NEWEST_FIRST),
        ("NAMESPACE=production", NEWEST_FIRST),
        ("since=24h", [1, 2, 3, 4, 5]),
        ("since=1d", [1, 2, 3, 4, 5]),
        ("since=90m", [1]),
        ("since=1h30m", [1]),
        ("since=5400s", [1]),
        ("until=7d", [11, 10, 12]),
        ("since=30d&until=2d", [11, 10]),
        ("since=2001-01-01", NEWEST_FIRST),
        ("since=2001-01-01T00:00:00", NEWEST_FIRST),
        ("since=2001-01-01T02:00:00%2B02:00", NEWEST_FIRST),
        ("until=2001-01-01T00:00:00.123456789Z", []),
        ("since=1d&namespace=production", [1, 2, 3]),
    ],
)
def test_filters_find_what_matches_and_nothing_else(twelve: Api, query: str, found: list[int]) -> None:
    answer = twelve.get(f"{INCIDENTS}?{query}")

    assert ids(answer) == found
    assert answer.json["total"] == len(found)
    assert answer.json["incidents"] == answer.json["data"]


@pytest.mark.parametrize(("namespace", "found"), [(ARABIC, 6), (CHINESE, 7), (ROCKET, 8), (MIXED, 9)])
def test_text_of_any_script_is_found_and_returned_as_stored(twelve: Api, namespace: str, found: int) -> None:
    answer = twelve.get(INCIDENTS, {"namespace": namespace})

    assert ids(answer) == [found]
    assert answer.json["data"][0]["namespace"] == namespace


@pytest.mark.parametrize("namespace", ["สภาพ", "मेरा", "서울", "é", "e\u0301", "\u200d", "🏳️‍🌈"])
def test_text_of_any_script_that_is_not_stored_finds_nothing(twelve: Api, namespace: str) -> None:
    assert ids(twelve.get(INCIDENTS, {"namespace": namespace})) == []


def test_both_bounds_of_time_are_inclusive(twelve: Api) -> None:
    at = twelve.get(f"{INCIDENTS}?limit=1").json["data"][0]["action_timestamp"]

    assert ids(twelve.get(INCIDENTS, {"since": at, "until": at})) == [1]


def test_summary_has_every_member_and_names_values_twice(twelve: Api) -> None:
    first = twelve.get(f"{INCIDENTS}?limit=1").json["data"][0]

    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?Z", first.pop("action_timestamp"))
    assert re.fullmatch(r".*Z", first.pop("created_at"))
    assert re.fullmatch(r".*Z", first.pop("updated_at"))
    assert isinstance(first.pop("action_history_id"), int)
    assert first == SUMMARY_OF_FIRST


SUMMARY_OF_FIRST: dict[str, Any] = {
    "id": 1, "action_id": "a-01", "correlation_id": None, "remediation_request_id": None,
    "signal_name": "HighMemoryUsage", "alert_name": "HighMemoryUsage",
    "severity": "critical", "signal_severity": "critical", "alert_severity": "critical",
    "alert_fingerprint": None, "signal_fingerprint": None,
    "incident_type": "pod-oom-killer", "incident_severity": None,
    "namespace": "production", "cluster_name": "eu-1", "environment": "prod",
    "resource_kind": "Deployment", "resource_name": "web", "target_resource": "deployment/web",
    "action_type": "restart_pod", "model_used": "model-a", "model_confidence": 0.95,
    "execution_status": "completed", "start_time": None, "end_time": None, "duration": None,
    "error_message": None, "effectiveness_score": None,
    "workflow_id": "pod-oom-recovery", "workflow_version": "v1.2",
    "workflow_execution_id": None, "workflow_step_number": None,
    "ai_selected_workflow": True, "ai_chained_workflows": False, "ai_manual_escalation": False,
}  # fmt: skip


def test_full_view_adds_the_rest(twelve: Api) -> None:
    row = twelve.get(f"{INCIDENTS}?view=full&limit=1").json["data"][0]

    assert row["id"] == 1
    assert {"action_parameters", "metadata", "model_reasoning", "signal_labels"} <= row.keys()
    assert row == twelve.get(f"{INCIDENTS}/1").json


@pytest.mark.parametrize(
    ("envelope", "names"), [("both", {"data", "incidents"}), ("data", {"data"}), ("incidents", {"incidents"})]
)
def test_envelope_chooses_the_names_of_the_rows(twelve: Api, envelope: str, names: set[str]) -> None:
    page = twelve.get(f"{INCIDENTS}?limit=2&envelope={envelope}").json

    assert page.keys() == names | {"total", "pagination"}
    assert all(len(page[name]) == 2 for name in names)
    assert page["total"] == 12


def test_count_none_leaves_out_the_total_and_still_knows_of_more(twelve: Api) -> None:
    page = twelve.get(f"{INCIDENTS}?count=none&limit=5").json

    assert (page["total"], page["pagination"]["total"]) == (None, None)
    assert page["pagination"]["has_more"] is True


def test_empty_result_has_empty_arrays(twelve: Api) -> None:
    page = twelve.get(f"{INCIDENTS}?namespace=nonexistent").json

    assert (page["data"], page["incidents"], page["total"]) == ([], [], 0)
    assert page["pagination"]["has_more"] is False


def test_request_id_of_the_client_is_kept(twelve: Api) -> None:
    answer = twelve.request("GET", INCIDENTS, headers={"X-Request-ID": "trace-42"})

    assert answer.headers["X-Request-ID"] == "trace-42"
    assert answer.headers["Cache-Control"] == "no-store"


def test_problem_carries_the_request_id_of_the_client(twelve: Api) -> None:
    answer = twelve.request("GET", f"{INCIDENTS}?limit=0", headers={"X-Request-ID": "trace-43"})

    assert assert_problem(answer, 400, "invalid-limit")["request_id"] == "trace-43"


def test_head_answers_like_get_without_a_body(twelve: Api) -> None:
    answer = twelve.request("HEAD", INCIDENTS)

    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Type"] == "application/json"


def test_options_lists_the_methods(twelve: Api) -> None:
    answer = twelve.request("OPTIONS", INCIDENTS)

    assert answer.status == 200
    assert {"GET", "POST", "HEAD", "OPTIONS"} <= set(answer.headers["Allow"].split(", "))


def test_other_method_is_refused_with_the_allowed_ones(twelve: Api) -> None:
    answer = twelve.request("DELETE", INCIDENTS)

    assert_problem(answer, 405, "method-not-allowed")
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize("path", [f"{INCIDENTS}/", "/api/v1/incident", f"{INCIDENTS}/1/", f"{INCIDENTS}//1"])
def test_other_path_is_not_found(twelve: Api, path: str) -> None:
    assert_problem(twelve.get(path), 404, "not-found")


def test_request_is_logged_with_what_it_returned(twelve_stand: Stand) -> None:
    answer = twelve_stand.api.get(f"{INCIDENTS}?limit=5&offset=10&namespace=kube-system")
    request_id = answer.headers["X-Request-ID"]

    def lines() -> list[dict[str, Any]]:
        return [line for line in twelve_stand.service.log_lines if line.get("request_id") == request_id]

    eventually(lambda: bool(lines()))
    line = lines()[0]
    assert (line["result_count"], line["limit"], line["offset"], line["status"]) == (0, 5, 10, 200)
    assert line["duration_ms"] > 0
    assert "kube-system" not in str(line)
