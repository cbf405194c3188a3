"""The remediation that shows everything: an event of every type, with the samples of the catalogue."""

from collections.abc import Mapping
from datetime import datetime
from random import Random
from typing import Any

from datastorage.demo.action import Action, Incident
from datastorage.demo.catalogue import Catalogue
from datastorage.demo.narrator import Narrator, Part
from datastorage.demo.workflows import Shelf
from datastorage.demo.world import CLUSTERS, PROBLEMS, WORKLOADS, Scene

DETECTED = {"gitOpsManaged": True, "gitOpsTool": "argocd", "hpaEnabled": True}
"""What is known of the workload besides its kind."""


def scene(shelf: Shelf, correlation_id: str) -> Scene:
    """Return where it plays, the same for every story."""
    workload, problem = WORKLOADS[0], PROBLEMS[0]
    return Scene(workload, problem, CLUSTERS[0], shelf[problem.workflow][-1], correlation_id)


def search(scene: Scene) -> dict[str, Any]:
    """Return the request that finds the workflow for this scene and explains why it is the one."""
    team = {"team": [f"name={scene.workload.team}"]}
    filters = {**scene.searched, "custom_labels": team, "detected_labels": DETECTED}
    return {"filters": filters, "explain": True}


def tell(rng: Random, types: Catalogue, scene: Scene, begins: datetime) -> Part:
    """Tell everything once."""
    narrator = Narrator(rng, types, scene, begins)
    instants = {}
    for kind in types.values():
        narrator.tell(kind.name, kind.sample)
        instants[kind.name] = narrator.now
        narrator.wait(2, 90)
    narrator.end(_incident(scene, types, instants))
    return narrator.part


def _incident(scene: Scene, types: Catalogue, instants: Mapping[str, str]) -> Incident:
    """Return what the events with these instants say of the action."""
    action = Action(
        scene,
        fired_at=instants["gateway.signal.received"],
        model=types["analysis.investigation.started"].sample["llm_model"],
        confidence=types["analysis.investigation.completed"].sample["confidence"],
        requested_at=instants["remediationorchestrator.request.created"],
        began_at=instants["remediationorchestrator.phase.transitioned"],
        ended_at=instants["remediationorchestrator.child.created"],
        steps=list(scene.workflow.steps),
    )
    verdict = types["effectivenessmonitor.evaluation.completed"].sample
    return action.incident("completed", effectiveness_score=verdict["effectiveness_score"])
