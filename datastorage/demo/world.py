"""The world of the story, read from ``world.yaml``, and the facts of a remediation in it."""

from random import Random
from typing import Any

from datastorage.demo import templates
from datastorage.demo.templates import Facts, filled
from datastorage.demo.workflows import Workflow

WORLD = templates.load("world.yaml")


def choose_place(rng: Random) -> tuple[Facts, Facts, Facts]:
    """Return a workload, a problem it can have, and a cluster."""
    workload = rng.choice(WORLD["workloads"])
    problem = rng.choice([each for each in WORLD["problems"] if strikes(each, workload)])
    return workload, problem, rng.choice(WORLD["clusters"])


def strikes(problem: Facts, workload: Facts) -> bool:
    """Tell whether a workload can have this problem."""
    return bool({workload["kind"], workload["name"]} & {*problem["strikes"]})


def scene(place: tuple[Facts, Facts, Facts], workflow: Workflow, correlation_id: str) -> dict[str, Any]:
    """Return what is known of a remediation before its first event."""
    workload, problem, cluster = place
    operations = [{"step_number": at, "name": name} for at, name in enumerate(workflow.steps, start=1)]
    facts = {
        **workload,
        **problem,
        **cluster,
        **WORLD["severities"][problem["severity"]],
        "correlation_id": correlation_id,
        "suffix": correlation_id.rpartition("-")[2],
        "reference": workflow.reference,
        "workflow_version": workflow.version,
        "action_type": workflow.name.replace("-", "_"),
        "steps": workflow.steps,
        "first_step": workflow.steps[:1],
        "all_operations": operations,
        "first_operation": operations[:1],
        "is_chained": "follow_up_verification" in workflow.steps,
        "start_reason": "no_approval_needed",
        "delivery": 1,
    }
    return facts | filled(WORLD["ids"], facts)
