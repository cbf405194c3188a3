"""The chapters of one remediation, from the first signal to the last message, and the plots made of them.

A feature with data of its own adds its chapter here, or a method to ``Narrator`` when the data is sent
to another endpoint, and names it in a plot.
"""

from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any, NamedTuple

from datastorage.demo.catalogue import Catalogue
from datastorage.demo.incident import incident
from datastorage.demo.narrator import Narrator
from datastorage.demo.world import WORLD, Scene

RESOLVED_FROM = 0.5
"""The effectiveness score from which an issue counts as resolved."""

RECIPIENTS = {
    "slack": "#{}-alerts",
    "email": "{}@example.com",
    "pagerduty": "svc-{}-oncall",
    "webhook": "svc-{}-oncall",
}
"""How a team is reached over each channel."""

ON_DUTY = "platform-duty-manager"
REPORTS = {
    "Pending": "Not processed",
    "AwaitingApproval": "Waiting for approval",
    "Completed": "Resolved",
    "Cancelled": "Cancelled",
}
ESCALATIONS = {"Pending": "No cause found", "Completed": "Not resolved", "Failed": "Failed"}
"""What people are told, by the phase that the remediation is in."""


class Remediation:
    """One remediation in the making; each public method tells one chapter."""

    def __init__(self, rng: Random, catalogue: Catalogue, scene: Scene, begins: datetime) -> None:
        narrator = Narrator(rng, catalogue, scene, begins)
        self.part = narrator.part
        self._narrator = narrator
        self._facts = narrator.facts
        self._tell = narrator.tell
        self._wait = narrator.wait
        self._rng = rng
        self._scene = scene
        self._phase = "Pending"
        self._deliveries = 0

    def is_rejected(self) -> None:
        """The gateway cannot read the signal."""
        self._tell("gateway.signal.rejected", **self._rng.choice(WORLD["rejections"]))

    def stumbles(self) -> None:
        """The gateway needs another attempt."""
        error = self._rng.choice(WORLD["gateway_errors"])
        self._tell("gateway.error.occurred", **error, retry_count=self._rng.randint(1, 3), will_retry=True)
        self._wait(1, 5)

    def arrives(self) -> None:
        """The signal becomes a remediation request; while its cause lasts it comes again."""
        self._arrives(duplicates=self._rng.choice((0, 0, 0, 1, 3)))

    def arrives_in_a_storm(self) -> None:
        """So many signals come that they are taken together."""
        reason = self._rng.choice(("rate_above_limit", "same_alert_across_nodes"))
        storm = {"signal_count": self._rng.randint(120, 900), "time_window_sec": 120}
        self._tell("gateway.storm.detected", **storm, detection_reason=reason)
        self._wait(1, 10)
        self._arrives(duplicates=self._rng.randint(5, 15))

    def _arrives(self, duplicates: int) -> None:
        first_seen = self._note("signal_firing_time")
        took = self._rng.randint(3, 40)
        self._tell("gateway.signal.received", is_duplicate=False, action="created_crd", duration_ms=took)
        took = self._wait(0.02, 1.5)
        resource = {"crd_namespace": "kubernaut-system", "crd_kind": "RemediationRequest"}
        created_at = self._narrator.now
        self._tell("gateway.crd.created", **resource, creation_time=created_at, duration_ms=took)
        for _ in range(duplicates):
            self._wait(10, 90)
            seen = {"original_timestamp": first_seen, "window_seconds": 600}
            self._narrator.mention("gateway.signal.deduplicated", reason="fingerprint_within_window", **seen)

    def _note(self, instant: str) -> str:
        """Note an instant of the incident: it is now."""
        now: str = self._facts.setdefault(instant, self._narrator.now)
        return now

    def is_enriched(self) -> None:
        """What is known about the workload is added, and the signal gets its category."""
        workload = self._scene.workload
        labels = [f"team:{workload.team}", f"kind:{workload.kind.lower()}"]
        enricher = self._rng.choice(WORLD["enrichers"])
        self._tell("signalprocessing.enrichment.started", **enricher, input_labels=labels)
        added = [f"owner:{workload.kind.lower()}/{workload.name}"]
        used = {"labels_added": added, "enricher_used": enricher["enricher_type"]}
        self._tell("signalprocessing.enrichment.completed", **used, duration_ms=self._wait(0.03, 0.9))
        verdict = {"confidence": self._ratio(0.6, 0.99), "labels": labels + added}
        self._tell("signalprocessing.categorization.completed", **verdict, duration_ms=self._wait(0.01, 0.2))

    def cannot_be_processed(self) -> None:
        """A policy has no answer for this signal."""
        message = "policy returned no result for environment"
        self._tell("signalprocessing.error.occurred", error_type="rego_policy_failure", error_message=message)

    def is_investigated(self) -> None:
        """A model looks for the root cause."""
        self._wait(0.1, 2)
        model, tokens = self._rng.choice(WORLD["models"]), self._rng.randint(900, 6000)
        self._tell("analysis.investigation.started", **model, prompt_tokens=tokens)

    def finds_nothing(self) -> None:
        """The model does not answer."""
        self._wait(20, 90)
        message = "provider returned 429 three times"
        self._tell("analysis.error.occurred", error_type="llm_rate_limited", error_message=message)

    def finds_a_workflow(self) -> None:
        """The cause is known, and the catalogue has a workflow against it."""
        found = {"confidence": self._ratio(0.55, 0.97), "completion_tokens": self._rng.randint(300, 2500)}
        self._tell("analysis.investigation.completed", **found, duration_ms=self._wait(4, 75))
        score, took = self._ratio(0.35, 0.58), self._wait(0.01, 0.25)
        best = {"results_count": self._rng.randint(1, 3), "top_match_score": score}
        self._tell("workflow.catalog.search_completed", **best, duration_ms=took)
        self._wait(0.1, 3)
        self._tell("analysis.recommendation.generated", workflow_score=score)

    def is_requested(self) -> None:
        """The orchestrator takes over."""
        self._wait(0.1, 2)
        self._note("action_timestamp")
        self._tell("remediationorchestrator.request.created", requested_by="analysis")
        self._enters("Analyzing", "recommendation_available")

    def needs_approval(self) -> None:
        """The workflow may not run before a person agrees."""
        impact = self._rng.choice(("rolling_restart", "short_read_only_period", "one_node_less"))
        why = {"approval_reason": "production_change", "estimated_impact": impact}
        self._tell("analysis.approval.required", **why)
        self._wait(0.1, 2)
        self._tell("remediationorchestrator.approval.requested", requires_approval=True)
        self._enters("AwaitingApproval", "approval_policy_matched")

    def is_approved(self) -> None:
        """An operator agrees after a while."""
        self._wait(60, 1500)
        self._enters("Executing", "approved_by_operator")

    def is_denied(self) -> None:
        """An operator says no."""
        self._wait(60, 1500)
        self._enters("Cancelled", "denied_by_operator", event_outcome="failure")
        self._ends("cancelled", ai_manual_escalation=True)

    def runs(self) -> None:
        """All steps of the workflow run, and end well."""
        self._runs(len(self._scene.workflow.steps))
        self._enters("Completed", "all_steps_succeeded")
        self._note("execution_end_time")

    def breaks_off(self) -> None:
        """The first step runs, the next one meets an obstacle."""
        self._runs(1)
        workload = self._scene.workload
        message = f"another remediation holds {workload.kind.lower()}/{workload.name}"
        error = {"error_type": "child_request_conflict", "error_message": message}
        self._tell("remediationorchestrator.error.occurred", **error)
        self._enters("Failed", "step_failed", event_outcome="failure")
        self._ends("failed", execution_error=message, ai_manual_escalation=True)

    def _runs(self, count: int) -> None:
        if self._phase != "Executing":
            self._enters("Executing", "no_approval_needed")
        self._note("execution_start_time")
        self._facts["steps"] = self._scene.workflow.steps[:count]
        for number, step in enumerate(self._facts["steps"], start=1):
            child = {"child_request_id": f"{self._scene.correlation_id}-step-{number}", "child_reason": step}
            took = self._wait(8, 240)
            self._tell("remediationorchestrator.child.created", **child, step_number=number, duration_ms=took)

    def _enters(self, phase: str, reason: str, **members: str) -> None:
        self._wait(0.1, 4)
        change = {"from_phase": self._phase, "to_phase": phase, "transition_reason": reason}
        self._tell("remediationorchestrator.phase.transitioned", **change, **members)
        self._phase = phase

    def _ends(self, status: str, **members: Any) -> None:
        self._note("execution_end_time")
        self._narrator.end(incident(self._scene, self._facts, status, **members))

    def helps(self) -> None:
        """The signal stops."""
        self._is_judged(self._ratio(0.6, 1))

    def does_not_help(self) -> None:
        """The signal goes on."""
        self._is_judged(self._ratio(0, 0.4))

    def _is_judged(self, score: float) -> None:
        """Compare signals before and after; the workflow's standing changes accordingly."""
        self._wait(5, 30)
        minutes, before = self._rng.choice((5, 10, 15)), self._rng.randint(8, 60)
        self._tell("effectivenessmonitor.evaluation.started", evaluation_window_min=minutes)
        verdict = {"effectiveness_score": score, "issue_resolved": score >= RESOLVED_FROM}
        counts = {"signal_count_before": before, "signal_count_after": round(before * (1 - score))}
        took = self._wait(minutes * 60, minutes * 60 + 5)
        self._tell("effectivenessmonitor.evaluation.completed", **verdict, **counts, duration_ms=took)
        self._ends("completed", effectiveness_score=score)
        self._wait(0.1, 2)
        delta = round((score - RESOLVED_FROM) / 10, 3)
        reason = "repeated_success" if delta >= 0 else "issue_not_resolved"
        standing = {"confidence_delta": delta, "new_confidence": round(0.7 + delta, 3)}
        self._tell("effectivenessmonitor.playbook.updated", **standing, update_reason=reason)

    def is_reported(self) -> None:
        """The team hears about it."""
        self._address(REPORTS[self._phase])
        took = self._rng.randint(40, 900)
        self._tell("notification.sent", delivery_status="202 Accepted", duration_ms=took)
        self._narrator.deliver("sent", "channel", "recipient", "message_summary", "delivery_status")

    def is_escalated(self) -> None:
        """The team cannot be reached, so the manager on duty is woken."""
        self._address(ESCALATIONS[self._phase])
        retries, reason = self._rng.randint(1, 3), "channel_archived"
        self._tell("notification.failed", failure_reason=reason, retry_count=retries, will_retry=False)
        self._narrator.deliver("failed", "channel", "recipient", "message_summary", error_message=reason)
        self._wait(30, 900)
        notified = {"notification_id": self._next_notification(), "escalated_to": ON_DUTY}
        why = {"escalation_reason": "not_acknowledged_in_15m", "original_recipient": self._facts["recipient"]}
        self._tell("notification.escalated", **notified, **why, escalation_level=1)
        names = ("message_summary", "escalation_level")
        self._narrator.deliver("escalated", *names, channel="pagerduty", recipient=ON_DUTY)

    def _address(self, summary: str) -> None:
        self._wait(0.5, 10)
        channel, workload = self._rng.choice(tuple(RECIPIENTS)), self._scene.workload
        self._facts |= {
            "notification_id": self._next_notification(),
            "channel": channel,
            "recipient": RECIPIENTS[channel].format(workload.team),
            "message_summary": f"{summary}: {self._scene.problem.alert} on {workload.name}",
        }

    def _next_notification(self) -> str:
        self._deliveries += 1
        return f"ntf-{self._scene.suffix}-{self._deliveries}"

    def _ratio(self, low: float, high: float) -> float:
        return round(self._rng.uniform(low, high), 2)


class Plot(NamedTuple):
    """What can happen, and how often of a hundred times."""

    weight: int
    chapters: tuple[Callable[[Remediation], None], ...]


_R = Remediation
_UNDERSTOOD = (_R.is_enriched, _R.is_investigated, _R.finds_a_workflow, _R.is_requested)
_RESOLVED = (_R.runs, _R.helps, _R.is_reported)

PLOTS = (
    Plot(44, (_R.arrives, *_UNDERSTOOD, *_RESOLVED)),
    Plot(14, (_R.arrives, *_UNDERSTOOD, _R.needs_approval, _R.is_reported, _R.is_approved, *_RESOLVED)),
    Plot(10, (_R.is_rejected,)),
    Plot(8, (_R.arrives, *_UNDERSTOOD, _R.breaks_off, _R.is_escalated)),
    Plot(7, (_R.arrives, *_UNDERSTOOD, _R.runs, _R.does_not_help, _R.is_escalated)),
    Plot(5, (_R.stumbles, _R.arrives, *_UNDERSTOOD, *_RESOLVED)),
    Plot(4, (_R.arrives_in_a_storm, *_UNDERSTOOD, *_RESOLVED)),
    Plot(3, (_R.arrives, *_UNDERSTOOD, _R.needs_approval, _R.is_denied, _R.is_reported)),
    Plot(3, (_R.arrives, _R.is_enriched, _R.is_investigated, _R.finds_nothing, _R.is_escalated)),
    Plot(2, (_R.arrives, _R.cannot_be_processed, _R.is_reported)),
)
