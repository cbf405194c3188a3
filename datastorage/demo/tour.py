"""The remediation that shows everything: an event of every type, with the samples of the catalogue."""

from datetime import datetime
from random import Random
from typing import Any

from datastorage.demo.catalogue import Catalogue
from datastorage.demo.incident import incident
from datastorage.demo.narrator import Narrator, Part
from datastorage.demo.workflows import Shelf
from datastorage.demo.world import CLUSTERS, PROBLEMS, WORKLOADS, Scene

DETECTED = {"gitOpsManaged": True, "gitOpsTool": "argocd", "hpaEnabled": True}
"""What is known of the workload besides its kind."""

INSTANTS = {
    "gateway.signal.received": "signal_firing_time",
    "remediationorchestrator.request.created": "action_timestamp",
    "remediationorchestrator.phase.transitioned": "execution_start_time",
    "remediationorchestrator.child.created": "execution_end_time",
}
"""What the incident calls the instants of these events."""


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
    narrator.facts["steps"] = scene.workflow.steps
    for kind in types.values():
        narrator.tell(kind.name, **kind.sample)
        if kind.name in INSTANTS:
            narrator.facts[INSTANTS[kind.name]] = narrator.now
        narrator.wait(2, 90)
    score = narrator.facts["effectiveness_score"]
    narrator.end(incident(scene, narrator.facts, "completed", effectiveness_score=score))
    return narrator.part
