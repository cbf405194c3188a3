"""The vocabulary of labels, and when a declared label matches a searched one. Pure.

Mandatory labels decide whether a workflow is a candidate; detected and custom labels only move its
score. A ``*`` on a workflow means "any value"; in a filter it has no power.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args

import msgspec

from datastorage.platform.web.shapes import meaning

WILDCARD = "*"
MAY_BE_WILDCARD = frozenset({"component", "environment", "priority"})

Severity = Literal["critical", "high", "medium", "low"]
Priority = Literal["P0", "P1", "P2", "P3"]
Status = Literal["active", "disabled", "deprecated", "archived"]
SEVERITIES: tuple[str, ...] = get_args(Severity)
PRIORITIES: tuple[str, ...] = get_args(Priority)
STATUSES: tuple[str, ...] = get_args(Status)

FAILED_DETECTIONS = "failed_detections"

CustomLabels = dict[str, list[str]]
DetectedLabels = dict[str, Any]
DetectedValue = str | bool

MEANINGS = {
    "signal_type": "The signal it reacts to, such as `OOMKilled`; compared exactly, never `*`.",
    "severity": "How bad the signal is.",
    "component": "Kind of the resource at fault, such as `pod` or `node`; `*` is any.",
    "environment": "Where it may run, such as `production`; `*` is any.",
    "priority": "Business priority; `*` is any.",
    "custom_labels": "Labels of the customer: up to 10 subdomains with up to 5 values each.",
    "detected_labels": "What a workload was found to be, or what the workflow supports.",
}


class MandatoryLabels(msgspec.Struct, frozen=True):
    """The five labels that a search compares first."""

    signal_type: Annotated[str, meaning(MEANINGS["signal_type"])]
    severity: Annotated[Severity, meaning(MEANINGS["severity"])]
    component: Annotated[str, meaning(MEANINGS["component"])]
    environment: Annotated[str, meaning(MEANINGS["environment"])]
    priority: Annotated[Literal[Priority, "*", ""], meaning(MEANINGS["priority"])]


MANDATORY = MandatoryLabels.__struct_fields__


class Match(StrEnum):
    """How a declared label answers a searched one."""

    EXACT = "exact"
    WILDCARD = "wildcard"
    NONE = "none"
    CAPPED = "capped"
    """Of no single label: what custom labels would earn beyond their limit."""


@dataclass(frozen=True, slots=True)
class DetectedLabel:
    """One fact about a workload: a flag when ``choices`` is empty, else one of them or ``*``.

    ``weight`` and ``penalty`` are in thousandths of a point.
    """

    key: str
    weight: int
    penalty: int = 0
    choices: tuple[str, ...] = ()


DETECTED = {
    label.key: label
    for label in (
        DetectedLabel("gitOpsManaged", weight=100, penalty=100),
        DetectedLabel("gitOpsTool", weight=100, penalty=100, choices=("argocd", "flux")),
        DetectedLabel("pdbProtected", weight=50),
        DetectedLabel("serviceMesh", weight=50, choices=("istio", "linkerd")),
        DetectedLabel("networkIsolated", weight=30),
        DetectedLabel("helmManaged", weight=20),
        DetectedLabel("stateful", weight=20),
        DetectedLabel("hpaEnabled", weight=20),
    )
}

DETECTIONS = (
    "gitOpsManaged",
    "pdbProtected",
    "hpaEnabled",
    "stateful",
    "helmManaged",
    "networkIsolated",
    "serviceMesh",
)
"""What can fail to be detected; the tool is found by the same look as whether GitOps manages at all."""


def match_mandatory(label: str, declared: str, searched: str) -> Match:
    """Tell how the ``declared`` value of a mandatory label answers the ``searched`` one.

    An empty searched value means "not known": only a workflow that accepts anything answers it.
    """
    if declared == WILDCARD and label in MAY_BE_WILDCARD:
        return Match.WILDCARD
    return Match.EXACT if declared == searched else Match.NONE


def match_detected(declared: DetectedValue | None, searched: DetectedValue) -> Match:
    """Tell how a detected label of a workflow answers one of the workload; ``None`` is undeclared."""
    if declared is None or declared is False:
        return Match.NONE
    if WILDCARD in (declared, searched):
        return Match.WILDCARD
    return Match.EXACT if declared == searched else Match.NONE


def match_custom(declared: list[str], searched: str) -> Match:
    """Tell how the values of one subdomain answer one searched value; a searched ``*`` is plain text."""
    if searched in declared:
        return Match.EXACT
    return Match.WILDCARD if WILDCARD in declared else Match.NONE


def normalised(detected: Mapping[str, Any]) -> DetectedLabels:
    """Keep what says something: flags that are true, tools that are named, failures once each."""
    kept = {key: detected[key] for key in DETECTED if detected.get(key)}
    failed = list(dict.fromkeys(detected.get(FAILED_DETECTIONS) or ()))
    return kept | ({FAILED_DETECTIONS: failed} if failed else {})


def trusted(detected: DetectedLabels) -> DetectedLabels:
    """Return the searched labels without those whose detection failed; they neither help nor harm."""
    failed = set(detected.get(FAILED_DETECTIONS, ()))
    if "gitOpsManaged" in failed:
        failed.add("gitOpsTool")
    return {key: detected[key] for key in DETECTED if key in detected and key not in failed}


def pairs(custom: CustomLabels) -> Iterator[tuple[str, str]]:
    """Yield each (subdomain, value) once."""
    for subdomain, values in custom.items():
        for value in dict.fromkeys(values):
            yield subdomain, value
