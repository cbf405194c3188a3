"""The service accepts the catalogue, which has the workflow for each problem of the story."""

import json
from collections import Counter
from hashlib import sha256
from itertools import product
from typing import Any

import pytest
import yaml
from msgspec.structs import asdict

from datastorage.demo.content import SHELF, WORLD, Workflow
from datastorage.demo.story import scene, strikes
from datastorage.workflows.labels import MANDATORY, WILDCARD, Match, match_mandatory
from datastorage.workflows.schemas import NewWorkflowSchema
from datastorage.workflows.scoring import Labels, score
from datastorage.workflows.workflow import Workflow as RegisteredWorkflow

VERSIONS = [version for versions in SHELF.values() for version in versions]
SCENES = [
    scene(place, SHELF[place[1]["workflow_matched"]][-1], "rr-1")
    for place in product(WORLD["workloads"], WORLD["problems"], WORLD["clusters"])
    if strikes(place[1], place[0])
]


def registered(workflow: Workflow) -> RegisteredWorkflow:
    schema = NewWorkflowSchema(maximum_bytes=10 << 20)
    new: RegisteredWorkflow = schema.read(schema.decode(json.dumps(workflow.body).encode()))
    return new


def answers(workflow: RegisteredWorkflow, wanted: dict[str, str]) -> bool:
    declared = asdict(workflow.labels)
    matches = (match_mandatory(name, declared[name], wanted[name]) for name in MANDATORY)
    return workflow.status == "active" and Match.NONE not in matches


@pytest.mark.parametrize("workflow", VERSIONS, ids=lambda version: version.reference)
def test_the_service_accepts_a_version_whose_hash_is_that_of_its_content(workflow: Workflow) -> None:
    new = registered(workflow)

    definition = yaml.safe_load(new.content)
    assert new.content_hash == sha256(new.content.encode()).hexdigest()
    assert definition["metadata"] == {"name": workflow.name, "version": workflow.version}
    assert tuple(step["name"] for step in definition["steps"]) == workflow.steps


def test_the_catalogue_shows_what_a_catalogue_can_hold() -> None:
    new = [registered(version) for version in VERSIONS]

    assert len(SHELF) == 12
    assert sorted(Counter(each.workflow_name for each in new).values())[-3:] == [1, 2, 2]
    assert Counter(each.status for each in new) == {"active": 12, "disabled": 1, "deprecated": 1}
    assert all(each.deprecation_notice for each in new if each.status == "deprecated")
    assert {name for each in new for name, label in asdict(each.labels).items() if label == WILDCARD} == {
        "component", "environment", "priority",
    }  # fmt: skip
    assert any(each.custom_labels for each in new)
    assert any(each.detected_labels for each in new)


def test_references_differ_and_the_newest_version_has_the_plain_one() -> None:
    references = [version.reference for version in VERSIONS]

    assert len(set(references)) == len(references)
    assert all(versions[-1].reference == f"wf-{name}" for name, versions in SHELF.items())


@pytest.mark.parametrize("facts", SCENES, ids=lambda f: f"{f['name']}-{f['alert_name']}-{f['cluster']}")
def test_a_search_finds_first_what_the_story_runs(facts: dict[str, Any]) -> None:
    wanted = Labels(facts["query_filters"], {}, {})
    newest = [registered(versions[-1]) for versions in SHELF.values()]

    found = {
        each.workflow_name: score(wanted, Labels(asdict(each.labels), {}, {})).points
        for each in newest
        if answers(each, wanted.mandatory)
    }

    best = max(found.values())
    assert [name for name, points in found.items() if points == best] == [facts["workflow_matched"]]
