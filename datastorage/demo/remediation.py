"""The chapters of one remediation, from the first signal to the last message.

A feature with data of its own adds its chapter here, or a method to ``Narrator`` when the data is sent
to another endpoint, and calls it from the plots of ``story``.
"""

from datetime import datetime
from random import Random
from typing import Any

from datastorage.demo.action import Action
from datastorage.demo.catalogue import Catalogue
from datastorage.demo.narrator import Narrator, Part
from datastorage.demo.world import CHANNELS, ENRICHERS, GATEWAY_ERRORS, MODELS, REJECTIONS, Scene

FAILURE = {"event_outcome": "failure"}
PENDING = {"event_outcome": "pending"}
RESOLVED_FROM = 0.5
"""The effectiveness score from which an issue counts as resolved."""


class Remediation:
    """One remediation in the making; each method tells one chapter."""

    def __init__(self, rng: Random, catalogue: Catalogue, scene: Scene, begins: datetime) -> None:
        self._rng = rng
        self._scene = scene
        self._narrator = Narrator(rng, catalogue, scene, begins)
        self._tell = self._narrator.tell
        self._wait = self._narrator.wait
        self._id = scene.correlation_id
        self._fingerprint = scene.fingerprint
        self._signal = f"sp-{scene.suffix}"
        self._analysis = f"aa-{scene.suffix}"
        self._workflow_id = scene.workflow.reference
        self._action = Action(scene)
        self._phase = "Pending"
        self._deliveries = 0

    @property
    def part(self) -> Part:
        """What was told so far."""
        return self._narrator.part

    def is_rejected(self) -> None:
        """The gateway cannot read the signal."""
        reason, source, error = self._rng.choice(REJECTIONS)
        data = {"rejection_reason": reason, "signal_source": source, "validation_error": error}
        members = {"error_code": reason, "error_message": error, "severity": "warning"}
        self._tell("gateway.signal.rejected", data, **FAILURE, **members)

    def stumbles(self) -> None:
        """The gateway needs another attempt."""
        error, message = self._rng.choice(GATEWAY_ERRORS)
        retries = self._rng.randint(1, 3)
        data = {"error_type": error, "error_message": message, "retry_count": retries, "will_retry": True}
        self._tell("gateway.error.occurred", data, **FAILURE, error_code=error, error_message=message)
        self._wait(1, 5)

    def arrives(self, duplicates: int = 0) -> None:
        """The signal becomes a remediation request; while its cause lasts it comes again."""
        place = {"namespace": self._scene.workload.namespace, "cluster": self._scene.cluster}
        signal = {"alert_name": self._scene.problem.alert, "signal_fingerprint": self._fingerprint, **place}
        first_seen = self._action.fired_at = self._narrator.now
        verdict = {"is_duplicate": False, "action": "created_crd"}
        self._tell("gateway.signal.received", signal | verdict, duration_ms=self._rng.randint(3, 40))
        took = self._wait(0.02, 1.5)
        resource = {"crd_name": self._id, "crd_namespace": "kubernaut-system"}
        created = {"crd_kind": "RemediationRequest", "creation_time": self._narrator.now}
        self._tell("gateway.crd.created", resource | created, duration_ms=took)
        for _ in range(duplicates):
            self._wait(10, 90)
            data = {"duplicate_of": self._fingerprint, "reason": "fingerprint_within_window"}
            window = {"original_timestamp": first_seen, "window_seconds": 600}
            self._narrator.mention("gateway.signal.deduplicated", data | window)

    def storms(self) -> None:
        """So many signals that they are taken together."""
        data = {
            "storm_id": f"storm-{self._scene.suffix}",
            "signal_count": self._rng.randint(120, 900),
            "time_window_sec": 120,
            "detection_reason": self._rng.choice(("rate_above_limit", "same_alert_across_nodes")),
        }
        self._tell("gateway.storm.detected", data)
        self._wait(1, 10)

    def is_enriched(self) -> None:
        """What is known about the workload is added, and the signal gets its category."""
        problem, workload = self._scene.problem, self._scene.workload
        enricher, output = self._rng.choice(ENRICHERS)
        labels = [f"team:{workload.team}", f"kind:{workload.kind.lower()}"]
        start = {"enricher_type": enricher, "input_labels": labels, "expected_output": output}
        self._tell("signalprocessing.enrichment.started", {"signal_id": self._signal} | start)
        took = self._wait(0.03, 0.9)
        owner = f"owner:{workload.kind.lower()}/{workload.name}"
        done = {"labels_added": [owner], "duration_ms": took, "enricher_used": enricher}
        enriched = {"signal_id": self._signal} | done
        self._tell("signalprocessing.enrichment.completed", enriched, duration_ms=took)
        took = self._wait(0.01, 0.2)
        verdict = {"category": problem.area, "confidence": self._ratio(0.6, 0.99), "labels": [*labels, owner]}
        category = {"signal_id": self._signal} | verdict
        self._tell("signalprocessing.categorization.completed", category, duration_ms=took)

    def cannot_be_processed(self) -> None:
        """A policy has no answer for this signal."""
        error, message = "rego_policy_failure", "policy returned no result for environment"
        data = {"error_type": error, "error_message": message, "signal_id": self._signal}
        self._tell(
            "signalprocessing.error.occurred", data, **FAILURE, error_code=error, error_message=message
        )

    def is_investigated(self) -> None:
        """A model looks for the root cause."""
        provider, model = self._rng.choice(MODELS)
        self._action.model = model
        prompt = {"llm_provider": provider, "llm_model": model, "prompt_tokens": self._rng.randint(900, 6000)}
        start = {"analysis_id": self._analysis, "signal_id": self._signal} | prompt
        self._wait(0.1, 2)
        self._tell("analysis.investigation.started", start, **PENDING)

    def finds_nothing(self) -> None:
        """The model does not answer."""
        self._wait(20, 90)
        error, message = "llm_rate_limited", "provider returned 429 three times"
        data = {"error_type": error, "error_message": message, "analysis_id": self._analysis}
        self._tell("analysis.error.occurred", data, **FAILURE, error_code=error, error_message=message)

    def finds_a_workflow(self) -> None:
        """The cause is known, and the catalogue has a workflow against it."""
        problem = self._scene.problem
        took = self._wait(4, 75)
        confidence = self._action.confidence = self._ratio(0.55, 0.97)
        found = {"rca_summary": problem.cause, "confidence": confidence, "duration_ms": took}
        tokens = {"completion_tokens": self._rng.randint(300, 2500)}
        completed = {"analysis_id": self._analysis} | found | tokens
        self._tell("analysis.investigation.completed", completed, duration_ms=took)
        took, score = self._wait(0.01, 0.25), self._ratio(0.35, 0.58)
        best = {"top_match_id": self._workflow_id, "top_match_score": score, "duration_ms": took}
        wanted = self._scene.searched
        search = {"query_filters": wanted, "results_count": self._rng.randint(1, 3)} | best
        self._tell("workflow.catalog.search_completed", search, duration_ms=took)
        self._wait(0.1, 3)
        choice = {"workflow_matched": problem.workflow, "workflow_score": score}
        proposal = {"analysis_id": self._analysis} | choice | {"recommendation": problem.remedy}
        self._tell("analysis.recommendation.generated", proposal)

    def is_requested(self) -> None:
        """The orchestrator takes over."""
        self._wait(0.1, 2)
        self._action.requested_at = self._narrator.now
        data = {"remediation_request_id": self._id, "workflow_id": self._workflow_id}
        origin = {"signal_id": self._signal, "requested_by": "analysis"}
        self._tell("remediationorchestrator.request.created", data | origin)
        self._enters("Analyzing", "recommendation_available")

    def needs_approval(self) -> None:
        """The workflow may not run before somebody agrees."""
        approval, risk = f"ar-{self._scene.suffix}", self._scene.problem.risk
        impact = self._rng.choice(("rolling_restart", "short_read_only_period", "one_node_less"))
        why = {"approval_reason": "production_change", "risk_level": risk, "estimated_impact": impact}
        need = {"analysis_id": self._analysis, "approval_request_id": approval} | why
        self._tell("analysis.approval.required", need, **PENDING)
        self._wait(0.1, 2)
        asked = {"approval_request_id": approval, "risk_level": risk, "requires_approval": True}
        request = {"remediation_request_id": self._id} | asked
        self._tell("remediationorchestrator.approval.requested", request, **PENDING)
        self._enters("AwaitingApproval", "approval_policy_matched")

    def is_approved(self) -> None:
        """Somebody agrees after a while."""
        self._wait(60, 1500)
        self._enters("Executing", "approved_by_operator")

    def is_denied(self) -> None:
        """Somebody says no."""
        self._wait(60, 1500)
        self._enters("Cancelled", "denied_by_operator", outcome="failure")
        self._ends("cancelled", ai_manual_escalation=True)

    def runs(self, steps: int | None = None) -> None:
        """The workflow's steps run, all of them or the first few."""
        if self._phase != "Executing":
            self._enters("Executing", "no_approval_needed")
        self._action.began_at = self._narrator.now
        for number, step in enumerate(self._scene.workflow.steps[:steps], start=1):
            self._action.steps.append(step)
            child = {"child_request_id": f"{self._id}-step-{number}", "child_reason": step}
            data = {"parent_request_id": self._id} | child | {"step_number": number}
            self._tell("remediationorchestrator.child.created", data, duration_ms=self._wait(8, 240))

    def completes(self) -> None:
        """Every step ended well."""
        self._enters("Completed", "all_steps_succeeded")
        self._action.ended_at = self._narrator.now

    def breaks_off(self) -> None:
        """A step meets an obstacle."""
        error = "child_request_conflict"
        message = f"another remediation holds {self._scene.workload.kind.lower()}/{self._scene.workload.name}"
        data = {"error_type": error, "error_message": message, "remediation_request_id": self._id}
        members = {"error_code": error, "error_message": message}
        self._tell("remediationorchestrator.error.occurred", data, **FAILURE, **members)
        self._enters("Failed", "step_failed", outcome="failure")
        self._ends("failed", execution_error=message, ai_manual_escalation=True)

    def _ends(self, status: str, **members: Any) -> None:
        self._action.ended_at = self._action.ended_at or self._narrator.now
        self._narrator.end(self._action.incident(status, **members))

    def _enters(self, phase: str, reason: str, outcome: str = "success") -> None:
        self._wait(0.1, 4)
        phases = {"from_phase": self._phase, "to_phase": phase, "transition_reason": reason}
        data = {"remediation_request_id": self._id} | phases
        self._tell("remediationorchestrator.phase.transitioned", data, event_outcome=outcome)
        self._phase = phase

    def is_judged(self, score: float) -> None:
        """Did the signal stop? The workflow's standing changes accordingly."""
        evaluation, minutes = f"eval-{self._scene.suffix}", self._rng.choice((5, 10, 15))
        target = {"remediation_request_id": self._id, "workflow_id": self._workflow_id}
        start = {"evaluation_id": evaluation, "evaluation_window_min": minutes} | target
        self._wait(5, 30)
        self._tell("effectivenessmonitor.evaluation.started", start, **PENDING)
        took = self._wait(minutes * 60, minutes * 60 + 5)
        before = self._rng.randint(8, 60)
        after = round(before * (1 - score))
        counts = {"signal_count_before": before, "signal_count_after": after}
        verdict = {"effectiveness_score": score, "issue_resolved": score >= RESOLVED_FROM} | counts
        judged = {"evaluation_id": evaluation} | verdict
        self._tell("effectivenessmonitor.evaluation.completed", judged, duration_ms=took)
        self._ends("completed", effectiveness_score=score)
        self._wait(0.1, 2)
        delta = round((score - RESOLVED_FROM) / 10, 3)
        reason = "repeated_success" if delta >= 0 else "issue_not_resolved"
        standing = {"new_confidence": round(0.7 + delta, 3), "update_reason": reason}
        update = {"workflow_id": self._workflow_id, "confidence_delta": delta} | standing
        self._tell("effectivenessmonitor.playbook.updated", update)

    def is_reported(self, summary: str) -> None:
        """The team hears about it."""
        channel, recipient = self._audience()
        text = f"{summary}: {self._scene.problem.alert} on {self._scene.workload.name}"
        message = {"channel": channel, "recipient": recipient, "message_summary": text}
        self._wait(0.5, 10)
        status = "202 Accepted"
        notification = self._next_notification()
        data = {"notification_id": notification, "delivery_status": status} | message
        self._tell("notification.sent", data, duration_ms=self._rng.randint(40, 900))
        self._narrator.deliver(notification, status="sent", delivery_status=status, **message)

    def is_escalated(self, summary: str) -> None:
        """Nobody can be reached at first, so somebody else is woken."""
        channel, recipient = self._audience()
        text = f"{summary}: {self._scene.problem.alert} on {self._scene.workload.name}"
        target = {"channel": channel, "recipient": recipient}
        failed, reason = self._next_notification(), "channel_archived"
        self._wait(0.5, 10)
        attempt = {"failure_reason": reason, "retry_count": self._rng.randint(1, 3), "will_retry": False}
        data = {"notification_id": failed} | target | attempt
        self._tell("notification.failed", data, **FAILURE, error_code=reason)
        record = target | {"message_summary": text, "error_message": reason}
        self._narrator.deliver(failed, status="failed", **record)
        self._wait(30, 900)
        escalated, duty = self._next_notification(), "platform-duty-manager"
        level = {"escalation_level": 1, "escalated_to": duty, "original_recipient": recipient}
        data = {"notification_id": escalated, "escalation_reason": "not_acknowledged_in_15m"} | level
        self._tell("notification.escalated", data)
        record = {"channel": "pagerduty", "recipient": duty, "message_summary": text}
        self._narrator.deliver(escalated, status="escalated", escalation_level=1, **record)

    def _audience(self) -> tuple[str, str]:
        channel, team = self._rng.choice(CHANNELS), self._scene.workload.team
        recipients = {"slack": f"#{team}-alerts", "email": f"{team}@example.com"}
        return channel, recipients.get(channel, f"svc-{team}-oncall")

    def _next_notification(self) -> str:
        self._deliveries += 1
        return f"ntf-{self._scene.suffix}-{self._deliveries}"

    def _ratio(self, low: float, high: float) -> float:
        return round(self._rng.uniform(low, high), 2)
