"""``POST /api/v1/workflows/search``: what a search may ask, and what its answer looks like."""

from typing import Any

import pytest

from tests.support.builders import ABSENT, unique
from tests.support.http import Api, assert_problem
from tests.support.workflow_builders import LABEL_NAMES, SEARCH, a_search, labels, register

NOTHING = "NoSuchSignal/low/pod/test/P3"


def faults_of(api: Api, request: Any) -> set[str]:
    problem = assert_problem(api.post(SEARCH, request), 400, "validation-error")
    first, sentence = next(iter(problem["field_errors"].items()))
    assert problem["detail"] == f"{first}: {sentence}"
    return set(problem["field_errors"])


@pytest.mark.parametrize("request_", [{}, {"filters": None}, {"filters": []}, {"filters": "x"}])
def test_filters_are_required(api: Api, request_: dict[str, Any]) -> None:
    assert faults_of(api, request_) == {"filters"}


@pytest.mark.parametrize("label", LABEL_NAMES)
@pytest.mark.parametrize("value", [ABSENT, None, 5])
def test_every_mandatory_label_must_be_named(api: Api, label: str, value: Any) -> None:
    assert faults_of(api, a_search(NOTHING, **{label: value})) == {f"filters.{label}"}


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("signal_type", ""),
        ("signal_type", " "),
        ("signal_type", "a\x00b"),
        ("severity", ""),
        ("severity", "*"),
        ("severity", "HIGH"),
        ("priority", "p0"),
        ("priority", "*"),
        ("component", "x" * 256),
        ("environment", "x" * 256),
    ],
)
def test_searched_label_is_none(api: Api, label: str, value: str) -> None:
    assert faults_of(api, a_search(NOTHING, **{label: value})) == {f"filters.{label}"}


WRONG_VALUES: dict[str, list[Any]] = {
    "top_k": [0, 101, 2.5, True, "5", -1, 1e308],
    "min_score": [-0.1, 1.1, "0.5", True, []],
    "include_disabled": ["yes", 1, "true"],
    "explain": ["yes"],
    "remediation_id": ["x" * 256, 5, "rr\x1b1", "rr\u202e1"],
}


@pytest.mark.parametrize(
    ("member", "value"), [(member, value) for member, values in WRONG_VALUES.items() for value in values]
)
def test_member_is_outside_its_range(api: Api, member: str, value: Any) -> None:
    assert faults_of(api, a_search(NOTHING, **{member: value})) == {member}


@pytest.mark.parametrize(
    ("group", "value", "field"),
    [
        ("custom_labels", {"team": ["x" * 101]}, "custom_labels.team[0]"),
        ("custom_labels", [], "custom_labels"),
        ("detected_labels", {"gitOpsTool": "jenkins"}, "detected_labels.gitOpsTool"),
        ("detected_labels", {"failed_detections": ["gitOpsTool"]}, "detected_labels.failed_detections[0]"),
        ("status", ["active", "paused"], "status[1]"),
        ("status", "active", "status"),
    ],
)
def test_group_of_the_filter_is_at_fault(api: Api, group: str, value: Any, field: str) -> None:
    assert faults_of(api, a_search(NOTHING, **{group: value})) == {f"filters.{field}"}


def test_every_fault_is_named(api: Api) -> None:
    wrong = a_search(NOTHING, priority="p0", severity="x", custom_labels={"a b": []}, top_k=0, min_score=2)

    assert faults_of(api, wrong) == {
        "filters.severity", "filters.priority", "filters.custom_labels.a b", "top_k", "min_score",
    }  # fmt: skip


def test_nothing_found_is_a_success(api: Api) -> None:
    answer = api.post(SEARCH, a_search(NOTHING))

    assert answer.status == 200
    assert answer.json == {
        "workflows": [],
        "total_results": 0,
        "filters": {**labels(NOTHING), "detected_labels": {}},
    }


def test_what_older_clients_send_in_addition_is_ignored(api: Api) -> None:
    request = a_search(NOTHING, query="disk full", min_similarity=0.7, embedding=[0.1])
    request["filters"]["risk_tolerance"] = "low"

    answer = api.post(SEARCH, request)

    assert answer.status == 200
    assert "risk_tolerance" not in answer.json["filters"]


def test_members_that_are_null_have_their_defaults(api: Api) -> None:
    names = ("remediation_id", "top_k", "min_score", "include_disabled", "explain", "query")
    groups = ("custom_labels", "detected_labels", "status")

    answer = api.post(SEARCH, a_search(NOTHING, **dict.fromkeys((*names, *groups))))

    assert answer.status == 200
    assert answer.json["filters"] == {**labels(NOTHING), "detected_labels": {}}


def test_ten_results_are_returned_by_default(api: Api) -> None:
    wanted = f"{unique('Ten')}/low/pod/test/P3"
    for _ in range(11):
        register(api, labels=labels(wanted))

    answer = api.post(SEARCH, a_search(wanted, top_k=None))

    assert len(answer.json["workflows"]) == 10
    assert answer.json["total_results"] == 11


def test_filters_are_echoed_normalised(api: Api) -> None:
    custom = {"team": ["b", "a", "a"], "none": []}
    detected = {
        "stateful": False,
        "gitOpsTool": "",
        "serviceMesh": "*",
        "failed_detections": ["stateful"] * 2,
    }

    answer = api.post(
        SEARCH,
        a_search(NOTHING, component="", custom_labels=custom, detected_labels=detected, status=["active"]),
    )

    assert answer.json["filters"] == {
        **labels(NOTHING),
        "component": "",
        "custom_labels": custom,
        "detected_labels": {"serviceMesh": "*", "failed_detections": ["stateful"]},
        "status": ["active"],
    }


def test_result_is_flat(api: Api) -> None:
    wanted = f"{unique('Flat')}/low/pod/test/P3"
    created = register(api, labels=labels(wanted))

    found = api.post(SEARCH, a_search(wanted)).json["workflows"]

    assert found == [
        {
            "workflow_id": created["workflow_id"],
            "title": created["name"],
            "description": created["description"],
            "signal_type": labels(wanted)["signal_type"],
            "container_image": created["container_image"],
            "container_digest": created["container_digest"],
            "confidence": 0.5,
            "final_score": 0.5,
            "label_boost": 0.0,
            "label_penalty": 0.0,
            "mandatory_match_score": 5.0,
            "detected_label_boost": 0.0,
            "custom_label_boost": 0.0,
            "rank": 1,
            "custom_labels": created["custom_labels"],
            "detected_labels": created["detected_labels"],
        }
    ]


def test_result_leaves_out_what_the_workflow_does_not_have(api: Api) -> None:
    wanted = f"{unique('Bare')}/low/pod/test/P3"
    bare = dict.fromkeys(("container_image", "container_digest", "custom_labels", "detected_labels"))
    register(api, labels=labels(wanted), **bare)

    found = api.post(SEARCH, a_search(wanted)).json["workflows"][0]

    assert not {"container_image", "container_digest", "custom_labels"} & found.keys()
    assert found["detected_labels"] == {}


def test_worked_example_of_the_contract(api: Api) -> None:
    signal = unique("Disk")
    full = register(api, labels=labels(f"{signal}/high/node/production/P1"))
    generic = register(
        api, labels=labels(f"{signal}/high/*/*/P1"), custom_labels=ABSENT, detected_labels=ABSENT
    )

    request = a_search(
        f"{signal}/high/node/production/P1",
        custom_labels={"team": ["name=storage"]},
        detected_labels={"gitOpsManaged": True, "gitOpsTool": "flux", "helmManaged": True},
        top_k=5,
        min_score=0.3,
    )
    answer = api.post(SEARCH, request).json

    first, second = answer["workflows"]
    assert (first["workflow_id"], second["workflow_id"]) == (full["workflow_id"], generic["workflow_id"])
    assert (first["final_score"], first["label_boost"], first["detected_label_boost"]) == (0.52, 0.2, 0.15)
    assert (second["final_score"], second["label_penalty"], second["mandatory_match_score"]) == (
        0.38,
        0.2,
        4.0,
    )
    assert answer["filters"] == request["filters"]
