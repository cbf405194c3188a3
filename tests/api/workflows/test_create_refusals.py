"""``POST /api/v1/workflows``: what is no workflow, with every fault named."""

import json
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from datastorage.tables import remediation_workflow_catalog as catalog
from tests.support.builders import ABSENT, FREE_TEXT, HIDDEN_CHARACTERS, unique
from tests.support.http import Api, assert_problem
from tests.support.started import StartService
from tests.support.workflow_builders import WORKFLOWS, a_workflow, labels

REQUIRED = (
    "workflow_name", "version", "name", "description", "content", "content_hash", "execution_engine",
    "labels", "status",
)  # fmt: skip


def faults_of(api: Api, workflow: dict[str, Any]) -> dict[str, str]:
    """Return the faults of a refused workflow, having made sure that nothing was stored."""
    problem = assert_problem(api.post(WORKFLOWS, workflow), 400, "validation-error")
    assert problem["title"] == "Validation Error"
    first, sentence = next(iter(problem["field_errors"].items()))
    assert problem["detail"] == f"{first}: {sentence}"
    faults: dict[str, str] = problem["field_errors"]
    return faults


@pytest.mark.parametrize("value", [ABSENT, None])
@pytest.mark.parametrize("field", REQUIRED)
def test_required_member_is_missing(api: Api, field: str, value: Any) -> None:
    assert faults_of(api, a_workflow(**{field: value})).keys() == {field}


@pytest.mark.parametrize(
    "field", [name for name in REQUIRED if name not in {"labels", "status", "content_hash"}]
)
@pytest.mark.parametrize("value", ["", " \t\n", 5, ["x"]])
def test_required_text_is_blank_or_no_text(api: Api, field: str, value: Any) -> None:
    assert faults_of(api, a_workflow(**{field: value})).keys() == {field}


@pytest.mark.parametrize(
    ("field", "maximum"),
    [
        ("workflow_name", 255),
        ("version", 50),
        ("name", 255),
        ("execution_engine", 50),
        ("owner", 255),
        ("maintainer", 255),
        ("container_digest", 71),
        ("previous_version", 50),
        ("approved_by", 255),
        ("created_by", 255),
    ],
)
def test_text_may_be_as_long_as_its_column_and_no_longer(api: Api, field: str, maximum: int) -> None:
    longest = unique("") + "🔥" * (maximum - len(unique("")))

    assert api.post(WORKFLOWS, a_workflow(**{field: longest})).status == 201

    assert faults_of(api, a_workflow(**{field: longest + "x"})).keys() == {field}


IDENTIFIERS = (
    "workflow_name", "version", "name", "execution_engine", "owner", "maintainer", "container_image",
    "container_digest", "previous_version", "approved_by", "created_by",
)  # fmt: skip


@pytest.mark.parametrize("character", HIDDEN_CHARACTERS, ids=ascii)
def test_identifiers_with_a_hidden_character_are_refused(api: Api, character: str) -> None:
    texts = dict.fromkeys(IDENTIFIERS, f"a{character}1")
    wanted = {**labels("OOM/high/pod/test/P1"), "component": f"pod{character}"}

    faults = faults_of(api, a_workflow(**texts, labels=wanted, custom_labels={"team": [f"a{character}"]}))

    message = f"must not contain control or invisible characters (got U+{ord(character):04X})"
    refused = {*IDENTIFIERS, "labels.component", "custom_labels.team[0]"}
    assert faults == dict.fromkeys(refused, message)


def test_free_text_may_have_every_character(api: Api) -> None:
    names = ("description", "content", "deprecation_notice", "version_notes", "change_summary")

    answer = api.post(WORKFLOWS, a_workflow(**dict.fromkeys(names, FREE_TEXT)))

    assert answer.status == 201, answer.body
    assert [answer.json[name] for name in names] == [FREE_TEXT] * len(names)


@pytest.mark.parametrize("label", ["signal_type", "severity", "component", "environment", "priority"])
@pytest.mark.parametrize("value", [ABSENT, None, "", " ", 1, "x" * 256])
def test_mandatory_label_is_missing_or_no_label(api: Api, label: str, value: Any) -> None:
    wrong = {**labels("OOM/high/pod/test/P1"), label: value}
    sent = {name: text for name, text in wrong.items() if text is not ABSENT}

    assert faults_of(api, a_workflow(labels=sent)).keys() == {f"labels.{label}"}


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("severity", "urgent"),
        ("severity", "*"),
        ("severity", "Critical"),
        ("signal_type", "*"),
        ("priority", "p0"),
        ("priority", "P4"),
    ],
)
def test_mandatory_label_is_outside_its_list(api: Api, label: str, value: str) -> None:
    wrong = {**labels("OOM/high/pod/test/P1"), label: value}

    assert faults_of(api, a_workflow(labels=wrong)).keys() == {f"labels.{label}"}


@pytest.mark.parametrize("value", ["text", [], 5, True])
@pytest.mark.parametrize("field", ["labels", "custom_labels", "detected_labels", "parameters"])
def test_object_is_something_else(api: Api, field: str, value: Any) -> None:
    assert faults_of(api, a_workflow(**{field: value})).keys() == {field}


@pytest.mark.parametrize(
    ("custom", "field"),
    [
        ({f"s{number}": [] for number in range(11)}, "custom_labels"),
        ({"team": ["1", "2", "3", "4", "5", "6"]}, "custom_labels.team"),
        ({"team": ["ok", "x" * 101]}, "custom_labels.team[1]"),
        ({"team": [""]}, "custom_labels.team[0]"),
        ({"team": ["a\tb"]}, "custom_labels.team[0]"),
        ({"team": ["a\x7fb"]}, "custom_labels.team[0]"),
        ({"team": [5]}, "custom_labels.team[0]"),
        ({"team": "name=storage"}, "custom_labels.team"),
        ({"team": None}, "custom_labels.team"),
        ({"a b": ["x"]}, "custom_labels.a b"),
        ({"": ["x"]}, "custom_labels."),
        ({"x" * 64: ["x"]}, "custom_labels." + "x" * 64),
        ({"team\n": ["x"]}, "custom_labels.team\n"),
    ],
)
def test_custom_labels_are_outside_their_limits(api: Api, custom: dict[str, Any], field: str) -> None:
    assert faults_of(api, a_workflow(custom_labels=custom)).keys() == {field}


def test_custom_labels_at_their_limits_are_stored(api: Api) -> None:
    custom = {f"{number}" + "._-aZ" * 12 + "xx": ["🔥" * 100, "*", "3", "4", "5"] for number in range(9)}
    custom["empty"] = []

    answer = api.post(WORKFLOWS, a_workflow(custom_labels=custom))

    assert answer.status == 201
    assert answer.json["custom_labels"] == custom


@pytest.mark.parametrize(
    ("detected", "field"),
    [
        ({"gitOpsTool": "jenkins"}, "gitOpsTool"),
        ({"serviceMesh": "Istio"}, "serviceMesh"),
        ({"failed_detections": ["gitOpsTool"]}, "failed_detections[0]"),
        ({"failed_detections": ["stateful", 5]}, "failed_detections[1]"),
        ({"failed_detections": "stateful"}, "failed_detections"),
        ({"stateful": "true"}, "stateful"),
        ({"gitOpsManaged": 1}, "gitOpsManaged"),
    ],
)
def test_detected_label_is_none_of_ours(api: Api, detected: dict[str, Any], field: str) -> None:
    assert faults_of(api, a_workflow(detected_labels=detected)).keys() == {f"detected_labels.{field}"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("content_hash", "a" * 63),
        ("content_hash", "a" * 65),
        ("status", "paused"),
        ("status", "Active"),
        ("expected_success_rate", 1.001),
        ("expected_success_rate", -0.1),
        ("expected_success_rate", "0.5"),
        ("expected_success_rate", True),
        ("expected_duration_seconds", -1),
        ("expected_duration_seconds", 2147483648),
        ("expected_duration_seconds", 1.5),
        ("expected_duration_seconds", True),
        ("expected_duration_seconds", "5"),
        ("approved_at", "2026-01-14T10:00:00"),
        ("approved_at", "yesterday"),
    ],
)
def test_value_is_outside_its_range(api: Api, field: str, value: Any) -> None:
    assert faults_of(api, a_workflow(**{field: value})).keys() == {field}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("description", "a\x00b"),
        ("content", "\x00"),
        ("labels", labels("O\x00M/high/pod/test/P1")),
        ("parameters", {"deep": [{"a\x00": 1}]}),
        ("custom_labels", {"team": ["a\x00"]}),
    ],
)
def test_text_has_a_nul_character(api: Api, field: str, value: Any) -> None:
    assert len(faults_of(api, a_workflow(**{field: value}))) == 1


def test_every_fault_is_named_in_the_order_of_the_fields(api: Api) -> None:
    wrong = a_workflow(
        version=ABSENT, content_hash="short", labels={"severity": "urgent"}, status="off", owner=5
    )

    assert list(faults_of(api, wrong)) == [
        "version", "content_hash", "labels.signal_type", "labels.severity", "labels.component",
        "labels.environment", "labels.priority", "status", "owner",
    ]  # fmt: skip


def test_sentences_are_those_of_the_contract(api: Api) -> None:
    wrong = a_workflow(labels=labels("OOM/urgent/pod/test/P1"), content_hash="x")

    assert faults_of(api, wrong) == {
        "content_hash": "must have exactly 64 characters",
        "labels.severity": "must be one of critical, high, medium, low",
    }


@pytest.mark.parametrize(
    "body", [b'{"name":', b"", b"[]", b'"text"', b"null", b'{"name": NaN}', b'{"name": "\\ud800"}']
)
def test_body_is_no_json_object(api: Api, body: bytes) -> None:
    problem = assert_problem(api.post(WORKFLOWS, body=body), 400, "validation-error")

    assert problem["field_errors"].keys() == {"body"}


def test_number_no_database_can_hold_is_refused(api: Api) -> None:
    body = json.dumps(a_workflow(parameters={"n": "N"})).replace('"N"', "1e-99999").encode()

    assert_problem(api.post(WORKFLOWS, body=body), 400, "validation-error")


@pytest.mark.parametrize("number", ["1e308", "1e-300"])
def test_numbers_count_by_their_plain_form(api: Api, number: str) -> None:
    body = json.dumps(a_workflow(parameters=["NUMBERS"])).encode()
    numbers = f'{{"x":[{",".join([number] * 40_000)}]}}'.encode()

    answer = api.post(WORKFLOWS, body=body.replace(b'["NUMBERS"]', numbers))

    problem = assert_problem(answer, 400, "validation-error")
    assert list(problem["field_errors"]) == ["parameters"]
    assert "exceeds the maximum size of 10485760 bytes" in problem["detail"]


def test_refused_workflow_is_not_stored(api: Api, owner: Connection) -> None:
    name = unique("refused")

    faults_of(api, a_workflow(workflow_name=name, status="off"))

    stored = select(func.count()).select_from(catalog).where(catalog.c.workflow_name == name)
    assert owner.scalar(stored) == 0


def test_enforced_policy_refuses_a_wrong_content_hash(start_service: StartService) -> None:
    api = start_service(WORKFLOWS_CONTENT_HASH_POLICY="enforce").api

    assert faults_of(api, a_workflow(content_hash="0" * 64)).keys() == {"content_hash"}

    assert api.post(WORKFLOWS, a_workflow()).status == 201
