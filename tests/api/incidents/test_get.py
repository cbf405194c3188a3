"""``GET /api/v1/incidents/{id}``."""

import pytest

from tests.support.http import Api, assert_problem
from tests.support.incident_builders import INCIDENTS, an_incident


def test_incident_is_shown_in_full_without_a_wrapper(twelve: Api) -> None:
    incident = twelve.get(f"{INCIDENTS}/4").json

    assert incident["id"] == 4
    assert (incident["alert_name"], incident["signal_name"]) == ("NodeDiskPressure", "DiskPressure")
    assert (incident["severity"], incident["namespace"]) == ("warning", "staging")
    assert incident["action_parameters"] is None


def test_unknown_incident_is_not_found(twelve: Api) -> None:
    problem = assert_problem(twelve.get(f"{INCIDENTS}/999999"), 404, "not-found")

    assert problem["title"] == "Incident Not Found"
    assert problem["instance"] == f"{INCIDENTS}/999999"
    assert "999999" in problem["detail"]


def test_largest_id_is_only_not_found(twelve: Api) -> None:
    assert_problem(twelve.get(f"{INCIDENTS}/9223372036854775807"), 404, "not-found")


@pytest.mark.parametrize(
    "incident_id",
    [
        "invalid-id", "0", "-1", "1.5", "9223372036854775808", "9" * 1000, "%D9%A1", "1%00",
        "1%20OR%201=1", "1%20",
        "aggregate", "batch", "1e1", "0x1", "%2B", "%FF", "1%3B%20SELECT%201", "null",
    ],
)  # fmt: skip
def test_id_is_a_positive_integer_of_64_bits(twelve: Api, incident_id: str) -> None:
    problem = assert_problem(twelve.get(f"{INCIDENTS}/{incident_id}"), 400, "invalid-id")

    assert problem["title"] == "Invalid ID"
    assert list(problem["field_errors"]) == ["id"]


def test_sign_and_leading_zeros_are_part_of_an_integer(twelve: Api) -> None:
    assert twelve.get(f"{INCIDENTS}/+4").json["id"] == 4
    assert twelve.get(f"{INCIDENTS}/004").json["id"] == 4


def test_query_parameters_are_ignored(twelve: Api) -> None:
    assert twelve.get(f"{INCIDENTS}/4?view=nonsense").json["id"] == 4


def test_documents_are_json_and_parameters_are_also_compact_text(api: Api) -> None:
    parameters = {"a b": [1, 2.5, None, 'x, y: "quoted" \\ back'], "n": 12345678901234567890, "u": "环境"}
    labels = {"app": "web"}
    created = api.post(INCIDENTS, an_incident(action_parameters=parameters, signal_labels=labels)).json

    incident = api.get(f"{INCIDENTS}/{created['id']}").json

    assert incident["action_parameters"] == parameters
    assert incident["signal_labels"] == labels
    assert incident["metadata"] == (
        '{"n":12345678901234567890,"u":"环境","a b":[1,2.5,null,"x, y: \\"quoted\\" \\\\ back"]}'
    )


def test_post_to_an_incident_is_refused_with_the_allowed_methods(twelve: Api) -> None:
    answer = twelve.post(f"{INCIDENTS}/4", {})

    assert_problem(answer, 405, "method-not-allowed")
    assert {"GET", "PATCH"} <= set(answer.headers["Allow"].split(", "))
