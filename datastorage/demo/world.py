"""The world of the story: clusters, workloads, what breaks there and what helps."""

from dataclasses import dataclass
from random import Random
from typing import Literal

from datastorage.demo.workflows import Workflow

Risk = Literal["low", "medium", "high"]


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
    risk: Risk
    strikes: frozenset[str]


CLUSTERS = ("eu-central-1a", "eu-central-1b", "us-east-2", "ap-southeast-1", "edge-lyon")

ENVIRONMENTS = dict.fromkeys(CLUSTERS, "production") | {"edge-lyon": "staging"}
URGENCY = {"critical": ("critical", "P0"), "error": ("high", "P1"), "warning": ("medium", "P2")}
"""Severity and priority of workflow labels by the severity of a problem."""

WORKLOADS = (
    Workload("payments", "Deployment", "checkout-api", "checkout"),
    Workload("payments", "StatefulSet", "ledger-db", "checkout"),
    Workload("shop", "Deployment", "cart", "storefront"),
    Workload("shop", "Deployment", "search-indexer", "storefront"),
    Workload("identity", "Deployment", "token-issuer", "identity"),
    Workload("telemetry", "DaemonSet", "log-shipper", "observability"),
    Workload("telemetry", "StatefulSet", "metrics-store", "observability"),
    Workload("kube-system", "StatefulSet", "etcd", "platform"),
    Workload("kube-system", "Deployment", "coredns", "platform"),
    Workload("batch", "CronJob", "invoice-export", "billing"),
)

PROBLEMS = (
    Problem(
        alert="KubePodCrashLooping",
        signal_type="CrashLoopBackOff",
        severity="critical",
        area="application",
        cause="Heap limit too low after the last rollout",
        workflow="raise-heap-limit",
        remedy="Raise the heap limit by half",
        risk="medium",
        strikes=frozenset({"Deployment", "DaemonSet"}),
    ),
    Problem(
        alert="KubePodNotReady",
        signal_type="ProbeFailure",
        severity="error",
        area="application",
        cause="Readiness probe times out while caches warm up",
        workflow="relax-readiness-probe",
        remedy="Give the readiness probe 10 s instead of 2 s",
        risk="low",
        strikes=frozenset({"Deployment", "StatefulSet"}),
    ),
    Problem(
        alert="EtcdHighCommitLatency",
        signal_type="HighLatency",
        severity="critical",
        area="control_plane",
        cause="Database fragmented after a burst of events",
        workflow="defragment-etcd",
        remedy="Defragment one member after the other, the leader last",
        risk="high",
        strikes=frozenset({"etcd"}),
    ),
    Problem(
        alert="PersistentVolumeFillingUp",
        signal_type="DiskPressure",
        severity="warning",
        area="storage",
        cause="Retention of two weeks no longer fits",
        workflow="expand-volume",
        remedy="Expand the volume to 200Gi",
        risk="low",
        strikes=frozenset({"StatefulSet"}),
    ),
    Problem(
        alert="NodeMemoryPressure",
        signal_type="OOMKilled",
        severity="error",
        area="infrastructure",
        cause="Two large workloads share one node",
        workflow="drain-and-spread",
        remedy="Cordon the node and spread its pods",
        risk="high",
        strikes=frozenset({"DaemonSet", "CronJob", "metrics-store"}),
    ),
    Problem(
        alert="CertificateExpiringSoon",
        signal_type="CertificateExpiry",
        severity="warning",
        area="security",
        cause="The issuer's account was rate limited, renewal never ran",
        workflow="renew-certificate",
        remedy="Request the certificate again",
        risk="low",
        strikes=frozenset({"token-issuer", "checkout-api", "invoice-export"}),
    ),
    Problem(
        alert="HighErrorRate",
        signal_type="ErrorBudgetBurn",
        severity="critical",
        area="application",
        cause="The new version rejects tokens of the old one",
        workflow="roll-back",
        remedy="Roll back to the previous revision",
        risk="medium",
        strikes=frozenset({"Deployment"}),
    ),
)

ENRICHERS = (
    ("owner_reference_enricher", "owner_chain"),
    ("topology_enricher", "node_and_zone"),
    ("history_enricher", "recent_rollouts"),
)
MODELS = (("anthropic", "claude-small"), ("ollama", "llama3-70b"), ("vertex", "gemini-flash"))
CHANNELS = ("slack", "pagerduty", "email", "webhook")
REJECTIONS = (
    ("unsupported_schema_version", "alertmanager", "version 3 is not supported"),
    ("missing_label", "alertmanager", "label alertname is missing"),
    ("malformed_timestamp", "kubernetes-events", "lastTimestamp is not a timestamp"),
    ("payload_too_large", "webhook", "4 MiB payload, 1 MiB allowed"),
)
GATEWAY_ERRORS = (
    ("redis_unreachable", "dial tcp: i/o timeout"),
    ("apiserver_throttled", "client rate limiter wait would exceed the deadline"),
)


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
    def fingerprint(self) -> str:
        """What repeated signals have in common."""
        return f"fp-{self.suffix}"

    @property
    def searched(self) -> dict[str, str]:
        """The labels by which a workflow is looked for."""
        severity, priority = URGENCY[self.problem.severity]
        return {
            "signal_type": self.problem.signal_type,
            "severity": severity,
            "component": self.workload.kind.lower(),
            "environment": ENVIRONMENTS[self.cluster],
            "priority": priority,
        }


def choose_place(rng: Random) -> tuple[Workload, Problem, str]:
    """Return a workload, a problem it can have, and a cluster."""
    workload = rng.choice(WORKLOADS)
    problems = [each for each in PROBLEMS if each.strikes & {workload.kind, workload.name}]
    return workload, rng.choice(problems), rng.choice(CLUSTERS)
