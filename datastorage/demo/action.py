"""What a remediation did to its workload, in the words of the incident endpoints."""

from dataclasses import dataclass, field
from typing import Any

from datastorage.demo.world import Scene

Incident = dict[str, Any]


@dataclass(slots=True)
class Action:
    """One action in the making: the chapters fill in what they decide, the last one asks for the incident.

    Instants are texts, as in the events; an empty one has not come.
    """

    scene: Scene
    fired_at: str = ""
    model: str = ""
    confidence: float = 0.0
    requested_at: str = ""
    began_at: str = ""
    ended_at: str = ""
    steps: list[str] = field(default_factory=list)

    def incident(self, status: str, **members: Any) -> Incident:
        """Return the incident of an action that has ended like this."""
        scene = self.scene
        known = self._signal() | self._target() | self._choice() | self._run()
        return {
            "action_id": f"act-{scene.suffix}",
            "action_type": scene.workflow.name.replace("-", "_"),
            "action_timestamp": self.requested_at,
            "correlation_id": scene.correlation_id,
            **known,
            "execution_status": status,
            **members,
        }

    def _signal(self) -> Incident:
        problem = self.scene.problem
        labels = {"alertname": problem.alert, "team": self.scene.workload.team}
        return {
            "signal_name": problem.alert,
            "severity": self.scene.searched["severity"],
            "signal_fingerprint": self.scene.fingerprint,
            "signal_labels": labels,
            "signal_firing_time": self.fired_at,
            "incident_type": problem.signal_type,
            "incident_severity": "critical" if problem.severity == "critical" else "warning",
        }

    def _target(self) -> Incident:
        workload = self.scene.workload
        return {
            "resource_kind": workload.kind,
            "resource_name": workload.name,
            "namespace": workload.namespace,
            "cluster_name": self.scene.cluster,
            "environment": self.scene.searched["environment"],
        }

    def _choice(self) -> Incident:
        problem, workflow = self.scene.problem, self.scene.workflow
        return {
            "model_used": self.model,
            "model_confidence": self.confidence,
            "model_reasoning": problem.cause,
            "workflow_id": workflow.reference,
            "workflow_version": workflow.version,
            "ai_selected_workflow": True,
            "ai_chained_workflows": "follow_up_verification" in self.steps,
            "action_parameters": {"remedy": problem.remedy, "risk_level": problem.risk},
        }

    def _run(self) -> Incident:
        """Return what is known of the execution; a denied action has none."""
        if not self.began_at:
            return {"execution_end_time": self.ended_at}
        return {
            "workflow_execution_id": f"we-{self.scene.suffix}",
            "execution_start_time": self.began_at,
            "execution_end_time": self.ended_at,
            "kubernetes_operations": [
                {"step_number": number, "name": name} for number, name in enumerate(self.steps, start=1)
            ],
        }
