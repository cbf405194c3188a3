"""Incidents agree with the events of their remediation and with the catalogue."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from datastorage.demo import story
from datastorage.demo.narrator import Record
from datastorage.demo.story import Story
from datastorage.incidents.writing.schemas import NewIncidentSchema

NOON = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def told() -> Story:
    """So much that every plot occurs."""
    return story.tell(1, NOON, 20_000)


@pytest.fixture(scope="module")
def history(told: Story) -> dict[str, list[Record]]:
    """The events of each remediation but the tour, whose events are samples."""
    by_remediation = defaultdict(list)
    for event in told.events:
        if event["correlation_id"] != told.tour:
            by_remediation[event["correlation_id"]].append(event)
    return by_remediation


def data_of(events: list[Record], event_type: str) -> dict[str, Any]:
    """Return the payload of the last event of a type."""
    return next(
        (event["event_data"] for event in reversed(events) if event["event_type"] == event_type),
        {},
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_service_accepts_every_incident(seed: int) -> None:
    schema = NewIncidentSchema(lambda: NOON, maximum_bytes=10 << 20)

    incidents = story.tell(seed, NOON, 2000).incidents

    for incident in incidents:
        schema.read(incident)
    assert incidents


def test_an_incident_ends_as_the_last_phase_of_its_remediation(
    told: Story, history: dict[str, list[Record]]
) -> None:
    phases = {"completed": "Completed", "failed": "Failed", "cancelled": "Cancelled"}

    for incident in told.incidents[1:]:
        events = history[incident["correlation_id"]]
        phase = data_of(events, "remediationorchestrator.phase.transitioned")["to_phase"]
        assert phase == phases[incident["execution_status"]]
    assert {incident["execution_status"] for incident in told.incidents} == phases.keys()


def test_every_remediation_that_ended_has_one_incident(told: Story, history: dict[str, list[Record]]) -> None:
    final = {"effectivenessmonitor.evaluation.completed"}
    ended = {name for name, events in history.items() if final & {event["event_type"] for event in events}}
    for name, events in history.items():
        if data_of(events, "remediationorchestrator.phase.transitioned").get("to_phase") in (
            "Failed",
            "Cancelled",
        ):
            ended.add(name)

    counted = Counter(incident["correlation_id"] for incident in told.incidents)

    assert counted.keys() == ended | {told.tour}
    assert set(counted.values()) == {1}


def test_an_incident_says_what_the_events_of_its_remediation_say(
    told: Story, history: dict[str, list[Record]]
) -> None:
    for incident in told.incidents[1:]:
        events = history[incident["correlation_id"]]
        first, evaluation = events[0], data_of(events, "effectivenessmonitor.evaluation.completed")
        found = data_of(events, "workflow.catalog.search_completed")
        assert incident["namespace"] == first["namespace"]
        assert incident["cluster_name"] == first["cluster_name"]
        assert f"{incident['namespace']}/{incident['resource_name']}" == first["resource_id"]
        assert incident["signal_name"] == data_of(events, "gateway.signal.received")["alert_name"]
        assert incident["model_used"] == data_of(events, "analysis.investigation.started")["llm_model"]
        assert incident["workflow_id"] == found["top_match_id"]
        assert incident["severity"] == found["query_filters"]["severity"]
        assert incident["incident_type"] == found["query_filters"]["signal_type"]
        assert incident.get("effectiveness_score") == evaluation.get("effectiveness_score")


def test_times_of_an_incident_are_in_order(told: Story) -> None:
    names = ("signal_firing_time", "action_timestamp", "execution_start_time", "execution_end_time")

    for incident in told.incidents:
        instants = [incident[name] for name in names if name in incident]
        assert instants == sorted(instants)
        assert instants[-1] <= told.events[-1]["event_timestamp"]


def test_references_of_events_and_incidents_are_those_of_the_catalogue(told: Story) -> None:
    catalogue = {each.reference: each for each in told.workflows}

    for event in told.events:
        named = {event["event_data"][name] for name in story.REFERRING if name in event["event_data"]}
        assert named <= catalogue.keys()
    for incident in told.incidents:
        workflow = catalogue[incident["workflow_id"]]
        assert workflow.version == incident["workflow_version"]
        assert {each["name"] for each in incident.get("kubernetes_operations", [])} <= set(workflow.steps)


def test_both_versions_of_a_workflow_have_run(told: Story) -> None:
    ran = {incident["workflow_id"] for incident in told.incidents}

    assert {"wf-raise-heap-limit@1.0.0", "wf-raise-heap-limit"} <= ran


def test_ids_take_the_place_of_every_reference(told: Story) -> None:
    ids = {each.reference: f"id of {each.reference}" for each in told.workflows}

    named = told.with_ids(ids)

    before = [incident["workflow_id"] for incident in told.incidents]
    assert [incident["workflow_id"] for incident in named.incidents] == [ids[each] for each in before]
    for event in named.events:
        for name in story.REFERRING:
            assert event["event_data"].get(name, "id of").startswith("id of")
    assert len(named.events) == len(told.events)


def test_an_hour_later_known_incidents_are_the_same_and_more_have_ended() -> None:
    earlier = {each["action_id"]: each for each in story.tell(1, NOON, 5000).incidents}

    later = {each["action_id"]: each for each in story.tell(1, NOON + timedelta(hours=1), 5000).incidents}

    common = earlier.keys() & later.keys()
    assert len(common) > 200
    assert all(earlier[action_id] == later[action_id] for action_id in common)
    assert max(each["action_timestamp"] for each in later.values()) > NOON.isoformat()
