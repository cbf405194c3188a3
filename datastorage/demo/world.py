"""The world of the story, read from ``world.yaml``: clusters, workloads, what breaks there and what helps."""

from dataclasses import dataclass
from importlib.resources import files
from random import Random
from typing import Any

import yaml

from datastorage.demo.workflows import Workflow

WORLD = yaml.safe_load(files(__package__).joinpath("world.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that can break, and the team that is told."""

    namespace: str
    kind: str
    name: str
    team: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What an alert means and which workflow remedies it; ``strikes`` names kinds or workloads."""

    alert: str
    signal_type: str
    severity: str
    area: str
    cause: str
    workflow: str
    remedy: str
    risk: str
    strikes: list[str]


CLUSTERS = tuple(WORLD["clusters"])
WORKLOADS = tuple(Workload(**each) for each in WORLD["workloads"])
PROBLEMS = tuple(Problem(**each) for each in WORLD["problems"])


@dataclass(frozen=True, slots=True)
class Scene:
    """Where one remediation plays, what could help there, and the names its events share."""

    workload: Workload
    problem: Problem
    cluster: str
    workflow: Workflow
    correlation_id: str

    @property
    def suffix(self) -> str:
        """What distinguishes the ids of this remediation."""
        return self.correlation_id.rpartition("-")[2]

    @property
    def searched(self) -> dict[str, str]:
        """The labels by which a workflow is looked for."""
        return {
            "signal_type": self.problem.signal_type,
            "component": self.workload.kind.lower(),
            "environment": WORLD["clusters"][self.cluster],
            **WORLD["urgency"][self.problem.severity],
        }

    def facts(self) -> dict[str, Any]:
        """Return what is known before the first event, by the names that payloads have for it."""
        suffix = self.suffix
        return {
            "alert_name": self.problem.alert,
            "namespace": self.workload.namespace,
            "cluster": self.cluster,
            "signal_fingerprint": f"fp-{suffix}",
            "duplicate_of": f"fp-{suffix}",
            "storm_id": f"storm-{suffix}",
            "signal_id": f"sp-{suffix}",
            "analysis_id": f"aa-{suffix}",
            "approval_request_id": f"ar-{suffix}",
            "evaluation_id": f"eval-{suffix}",
            "remediation_request_id": self.correlation_id,
            "parent_request_id": self.correlation_id,
            "crd_name": self.correlation_id,
            "workflow_id": self.workflow.reference,
            "top_match_id": self.workflow.reference,
            "workflow_matched": self.problem.workflow,
            "query_filters": self.searched,
            "rca_summary": self.problem.cause,
            "recommendation": self.problem.remedy,
            "risk_level": self.problem.risk,
            "category": self.problem.area,
        }


def choose_place(rng: Random) -> tuple[Workload, Problem, str]:
    """Return a workload, a problem it can have, and a cluster."""
    workload = rng.choice(WORKLOADS)
    problems = [each for each in PROBLEMS if {workload.kind, workload.name} & {*each.strikes}]
    return workload, rng.choice(problems), rng.choice(CLUSTERS)
