"""``POST /api/v1/workflows``: a version is registered and becomes the latest of its name."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from datastorage.tables import remediation_workflow_catalog as catalog
from tests.support.builders import ABSENT, unique, widest
from tests.support.http import Api, assert_problem
from tests.support.workflow_builders import WORKFLOWS, a_workflow, labels, path_of, register

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SOON = timedelta(seconds=10)


def versions_of(api: Api, name: str) -> list[dict[str, Any]]:
    versions: list[dict[str, Any]] = api.get(f"{WORKFLOWS}/by-name/{name}/versions").json["versions"]
    return versions


def test_created_workflow_is_answered_as_it_was_stored(api: Api, owner: Connection) -> None:
    sent = a_workflow()

    answer = api.post(WORKFLOWS, sent)

    assert answer.status == 201
    assert answer.headers["Content-Type"] == "application/json"
    created = answer.json
    assert UUID.fullmatch(created["workflow_id"])
    assert answer.headers["Location"] == path_of(created)
    assert created["is_latest_version"] is True
    assert "previous_version" not in created
    assert created["created_at"] == created["updated_at"]
    assert abs(datetime.fromisoformat(created["created_at"]) - datetime.now(UTC)) < SOON
    assert {name: created[name] for name in sent} == sent | {
        "detected_labels": {"gitOpsManaged": True, "gitOpsTool": "*"}
    }
    row = owner.execute(select(catalog).where(catalog.c.workflow_id == created["workflow_id"])).one()
    assert row.content == sent["content"]
    assert row.detected_labels == created["detected_labels"]


def test_smallest_workflow_has_no_members_without_a_value(api: Api) -> None:
    required = (
        "workflow_name", "version", "name", "description", "content", "content_hash", "execution_engine",
        "labels", "status",
    )  # fmt: skip
    sent = {name: value for name, value in a_workflow().items() if name in required}

    created = api.post(WORKFLOWS, sent).json

    assert created.keys() == {
        *required, "workflow_id", "detected_labels", "is_latest_version", "total_executions",
        "successful_executions", "created_at", "updated_at",
    }  # fmt: skip
    assert created["detected_labels"] == {}


def test_names_and_labels_as_long_as_documented_are_stored(api: Api) -> None:
    wide = {name: widest(255) for name in ("signal_type", "component", "environment")}
    named = {"workflow_name": widest(255), "version": widest(50), "container_digest": widest(71)}

    created = register(api, labels=labels("any/high/any/any/P1") | wide, **named)

    assert created.items() >= named.items()
    assert created["labels"].items() >= wide.items()


def test_second_version_takes_over_from_the_first(api: Api) -> None:
    first = register(api)

    second = register(api, workflow_name=first["workflow_name"], version="v1.3.0")

    assert second["workflow_id"] != first["workflow_id"]
    assert second["previous_version"] == "v1.2.0"
    assert second["is_latest_version"] is True
    assert api.get(path_of(first)).json["is_latest_version"] is False


def test_of_three_versions_the_newest_is_the_latest_whatever_it_is_called(api: Api) -> None:
    name = unique("wf")

    for version in ("2.0.0", "1.0.0", "10.0.0-rc1"):
        register(api, workflow_name=name, version=version)

    latest = [each["version"] for each in versions_of(api, name) if each["is_latest_version"]]
    assert latest == ["10.0.0-rc1"]


@pytest.mark.parametrize("status", ["disabled", "deprecated", "archived"])
def test_newest_version_is_the_latest_whatever_its_status(api: Api, status: str) -> None:
    first = register(api)

    second = register(api, workflow_name=first["workflow_name"], version="v2", status=status)

    assert second["is_latest_version"] is True
    assert second["status"] == status


def test_previous_version_of_the_client_is_kept(api: Api) -> None:
    first = register(api)

    second = register(api, workflow_name=first["workflow_name"], version="v9", previous_version="v0.0.1")

    assert second["previous_version"] == "v0.0.1"


def test_workflow_created_disabled_is_disabled_since_its_creation(api: Api) -> None:
    created = register(api, status="disabled")

    assert created["disabled_at"] == created["created_at"]
    assert "disabled_by" not in created
    assert "disabled_reason" not in created


def test_existing_version_is_a_conflict_and_changes_nothing(api: Api) -> None:
    first = register(api)
    latest = register(api, workflow_name=first["workflow_name"], version="v2")

    answer = api.post(WORKFLOWS, a_workflow(workflow_name=first["workflow_name"], content="another"))

    problem = assert_problem(answer, 409, "conflict")
    assert "Already Exists" in problem["title"]
    assert first["workflow_name"] in problem["detail"]
    assert first["version"] in problem["detail"]
    stored = versions_of(api, first["workflow_name"])
    assert [each["workflow_id"] for each in stored] == [latest["workflow_id"], first["workflow_id"]]
    assert [each["is_latest_version"] for each in stored] == [True, False]
    assert stored[0]["updated_at"] == latest["updated_at"]


def test_wildcards_are_welcome_where_they_mean_any(api: Api) -> None:
    created = register(api, labels=labels("NodeDiskPressure/high/*/*/*"))

    assert created["labels"] == labels("NodeDiskPressure/high/*/*/*")


def test_what_older_clients_send_in_addition_is_ignored(api: Api) -> None:
    sent = a_workflow(embedding=None, steps=[])
    sent["labels"]["risk_tolerance"] = "low"

    answer = api.post(WORKFLOWS, sent)

    assert answer.status == 201
    assert not {"embedding", "steps"} & answer.json.keys()
    assert "risk_tolerance" not in answer.json["labels"]


def test_what_the_server_sets_cannot_be_sent(api: Api) -> None:
    mine = "00000000-0000-4000-8000-000000000001"

    created = register(
        api,
        workflow_id=mine,
        is_latest_version=False,
        total_executions=9,
        successful_executions="x",
        created_at="2001-01-01T00:00:00Z",
        status_reason="mine",
        disabled_by="me",
        updated_by="me",
        actual_success_rate=1,
    )

    assert created["workflow_id"] != mine
    assert created["is_latest_version"] is True
    assert (created["total_executions"], created["successful_executions"]) == (0, 0)
    assert not created["created_at"].startswith("2001")
    assert not {"status_reason", "disabled_by", "updated_by", "actual_success_rate"} & created.keys()


def test_detected_labels_keep_what_says_something(api: Api, owner: Connection) -> None:
    sent = {
        "stateful": False,
        "pdbProtected": True,
        "serviceMesh": "",
        "helmManaged": None,
        "failed_detections": ["hpaEnabled", "hpaEnabled"],
        "color": "red",
    }

    created = register(api, detected_labels=sent)

    kept = {"pdbProtected": True, "failed_detections": ["hpaEnabled"]}
    assert created["detected_labels"] == kept
    stored = owner.scalar(
        select(catalog.c.detected_labels).where(catalog.c.workflow_id == created["workflow_id"])
    )
    assert stored == kept


def test_empty_custom_labels_are_left_out(api: Api) -> None:
    assert "custom_labels" not in register(api, custom_labels={})


def test_optional_members_may_be_null(api: Api) -> None:
    optional = (
        "owner",
        "parameters",
        "custom_labels",
        "detected_labels",
        "approved_at",
        "expected_success_rate",
    )

    created = register(api, **dict.fromkeys(optional))

    assert set(optional) & created.keys() == {"detected_labels"}


def test_every_optional_member_is_stored(api: Api) -> None:
    sent = {
        "deprecation_notice": "Use grow-disk",
        "version_notes": "Faster",
        "change_summary": "Prunes in parallel",
        "approved_by": "storage-lead",
        "approved_at": "2026-01-14T10:30:00.5+01:00",
        "expected_duration_seconds": 90.0,
        "created_by": "ci",
    }

    created = register(api, **sent)

    assert {name: created[name] for name in sent} == sent | {
        "approved_at": "2026-01-14T09:30:00.500000Z",
        "expected_duration_seconds": 90,
    }


def test_text_is_stored_as_it_was_sent(api: Api) -> None:
    name = "  内存不足 🔥 '; DROP TABLE remediation_workflow_catalog; -- "
    text = f"{name}\n{name}\t"

    created = register(
        api, name=name, description=text, content=text, owner="", labels=labels(f"{name}/high/a/b/P1")
    )

    stored = api.get(path_of(created)).json
    assert (stored["name"], stored["description"], stored["content"], stored["owner"]) == (
        name,
        text,
        text,
        "",
    )
    assert stored["labels"]["signal_type"] == name


def test_expected_success_rate_has_three_decimals_halves_up(api: Api) -> None:
    assert register(api, expected_success_rate=0.9225)["expected_success_rate"] == 0.923
    assert register(api, expected_success_rate=0.92249)["expected_success_rate"] == 0.922


def test_numbers_inside_parameters_are_not_rounded(api: Api) -> None:
    number = b"0.1000000000000000055511151231257827"
    body = b'{"parameters": {"ratio": ' + number + b', "count": 123456789012345678901234567890}, '
    sent = a_workflow(parameters=ABSENT)

    answer = api.post(WORKFLOWS, body=body + json_members(sent))

    assert answer.status == 201
    assert number in answer.body
    assert b"123456789012345678901234567890" in answer.body


def json_members(values: dict[str, Any]) -> bytes:
    import json

    return json.dumps(values).encode()[1:]


def test_wrong_content_hash_is_stored_with_a_warning(api: Api) -> None:
    metric = 'datastorage_validation_failures_total{field="content_hash",reason="mismatch"}'
    before = counter(api, metric)

    created = register(api, content_hash="F" * 64)

    assert created["content_hash"] == "F" * 64
    assert counter(api, metric) == before + 1


def test_content_hash_in_upper_case_is_right(api: Api) -> None:
    metric = 'datastorage_validation_failures_total{field="content_hash",reason="mismatch"}'
    before = counter(api, metric)
    sent = a_workflow()

    register(api, **sent | {"content_hash": sent["content_hash"].upper()})

    assert counter(api, metric) == before


def counter(api: Api, metric: str) -> float:
    lines = [line for line in api.get("/metrics").body.decode().splitlines() if line.startswith(metric)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
