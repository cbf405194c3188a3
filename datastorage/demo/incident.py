"""What a remediation did to its workload, in the words of the incident endpoints."""

from collections.abc import Mapping
from typing import Any

from datastorage.demo.narrator import Incident
from datastorage.demo.world import Scene

INSTANTS = ("signal_firing_time", "action_timestamp", "execution_start_time", "execution_end_time")
"""Facts that no payload has: the story notes them for the incident. Those that have not come are left out."""


def incident(scene: Scene, facts: Mapping[str, Any], status: str, **members: Any) -> Incident:
    """Return the incident of an action that has ended like this."""
    problem, workload, workflow = scene.problem, scene.workload, scene.workflow
    steps = facts.get("steps", ())
    told: Incident = {
        "action_id": f"act-{scene.suffix}",
        "action_type": workflow.name.replace("-", "_"),
        "correlation_id": scene.correlation_id,
        "execution_status": status,
        "signal_name": problem.alert,
        "severity": scene.searched["severity"],
        "signal_fingerprint": facts["signal_fingerprint"],
        "signal_labels": {"alertname": problem.alert, "team": workload.team},
        "incident_type": problem.signal_type,
        "incident_severity": "critical" if problem.severity == "critical" else "warning",
        "resource_kind": workload.kind,
        "resource_name": workload.name,
        "namespace": workload.namespace,
        "cluster_name": scene.cluster,
        "environment": scene.searched["environment"],
        "model_used": facts["llm_model"],
        "model_confidence": facts["confidence"],
        "model_reasoning": problem.cause,
        "workflow_id": workflow.reference,
        "workflow_version": workflow.version,
        "ai_selected_workflow": True,
        "ai_chained_workflows": "follow_up_verification" in steps,
        "action_parameters": {"remedy": problem.remedy, "risk_level": problem.risk},
    }
    if steps:  # a denied action was never executed
        told["workflow_execution_id"] = f"we-{scene.suffix}"
        told["kubernetes_operations"] = [
            {"step_number": number, "name": name} for number, name in enumerate(steps, start=1)
        ]
    return told | {name: facts[name] for name in INSTANTS if name in facts} | members
