"""The written-out matrix of searches: a catalogue of small sets, and what each request finds in them.

Each set has a signal type of its own, so the sets do not meet. A case names what differs from a search
for exactly the labels of its set, and every result with its score, in order.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.support.workflow_builders import ALL_FLAGS, a_search

OOM = "OOMKilled/critical/pod/production/P0"
MESH = "NetworkLatency/high/service/production/P1"
CUSTOM = "CPUThrottling/medium/pod/staging/P2"
TIE = "TieTest/critical/deployment/production/P0"
STATUS = "DiskPressure/critical/node/production/P0"
MANY = "DiskFull/low/pvc/test/P3"
WILD = "WildVsExact/high/deployment/production/P1"
SAME_TIME = "TieId/low/pod/test/P3"
UNICODE = "内存不足-🔥/high/pod/生产/P1"

FIFTEEN_VALUES = {subdomain: ["v0", "v1", "v2", "v3", "v4"] for subdomain in ("d0", "d1", "d2")}


@dataclass(frozen=True)
class Row:
    """One workflow of the catalogue: created in this order, the later the newer."""

    key: str
    mandatory: str
    detected: dict[str, Any] = field(default_factory=dict)
    custom: dict[str, list[str]] = field(default_factory=dict)
    status: str = "active"
    shares_name_with: str | None = None
    disabled_later: bool = False


GITOPS = {"gitOpsManaged": True}
EVERYTHING = ALL_FLAGS | {"gitOpsTool": "argocd", "serviceMesh": "istio"}

CATALOGUE = (
    Row("A1", OOM),
    Row("A2", OOM, GITOPS | {"gitOpsTool": "argocd"}),
    Row("A3", OOM, GITOPS | {"gitOpsTool": "flux"}),
    Row("A4", OOM, GITOPS | {"gitOpsTool": "*"}),
    Row("A5", "OOMKilled/critical/*/production/P0"),
    Row("A6", "OOMKilled/critical/pod/*/P0"),
    Row("A7", "OOMKilled/critical/*/*/*", {"pdbProtected": True}),
    Row(
        "A8",
        "OOMKilled/critical/deployment/production/P0",
        EVERYTHING,
        {"team": ["name=payments"], "constraint": ["cost-constrained", "stateful-safe"]},
    ),
    Row("B1", MESH, {"serviceMesh": "istio"}),
    Row("B2", MESH, {"serviceMesh": "linkerd"}),
    Row("B3", MESH, {"serviceMesh": "*"}),
    Row("B4", MESH),
    Row("C1", CUSTOM, custom={"team": ["name=payments"], "constraint": ["cost-constrained"]}),
    Row("C2", CUSTOM, custom={"team": ["*"]}),
    Row("C3", CUSTOM, custom={"team": ["name=checkout"]}),
    Row("C4", CUSTOM),
    Row("C5", CUSTOM, custom={"constraint": ["cost-constrained", "*"]}),
    Row("D1", TIE),
    Row("D2", TIE),
    Row("D3", TIE),
    Row("E1", STATUS),
    Row("E2", STATUS, status="disabled"),
    Row("E3", STATUS, status="deprecated"),
    Row("E4", STATUS, status="archived"),
    Row("E5", STATUS),
    Row("E6", STATUS, shares_name_with="E5"),
    Row("E7", STATUS),
    Row("E8", STATUS, shares_name_with="E7", disabled_later=True),
    Row("F1", MANY, custom=FIFTEEN_VALUES),
    Row("G1", WILD),
    Row("G2", "WildVsExact/high/*/production/P1"),
    Row("U1", UNICODE),
)


@dataclass(frozen=True)
class Case:
    """One search: in words, as a request, and what it finds; ``total`` counts before ``top_k``."""

    says: str
    request: dict[str, Any]
    finds: tuple[tuple[str, float], ...]
    total: int


def _case(says: str, request: dict[str, Any], finds: str, total: int | None = None) -> Case:
    """``finds`` is ``A4 .51, A3 .51, A1 .49``."""
    pairs = [item.split() for item in finds.split(",") if item.strip()]
    results = tuple((key, float(score)) for key, score in pairs)
    return Case(says, request, results, len(results) if total is None else total)


def _oom(**members: Any) -> dict[str, Any]:
    return a_search(OOM, **members)


def _team(*values: str) -> dict[str, list[str]]:
    return {"team": list(values)}


EXACT_OOM = "A4 .5, A3 .5, A2 .5, A1 .5, A6 .45, A5 .45, A7 .35"
ALL_C = "C5 .5, C4 .5, C3 .5, C2 .5, C1 .5"
ALL_B = "B4 .5, B3 .5, B2 .5, B1 .5"

MANDATORY_CASES = (
    _case("exact labels beat one wildcard, and that beats three", _oom(), EXACT_OOM),
    _case("another component", _oom(component="deployment"), "A8 .5, A5 .45, A7 .35"),
    _case("an unknown component is answered by wildcards only", _oom(component=""), "A5 .45, A7 .35"),
    _case("a searched * has no power", _oom(component="*"), "A5 .45, A7 .35"),
    _case("an unknown environment", _oom(environment=""), "A6 .45, A7 .35"),
    _case("an unknown priority", _oom(priority=""), "A7 .35"),
    _case("nothing known", _oom(component="", environment="", priority=""), "A7 .35"),
    _case("a component nobody has", _oom(component="cronjob"), "A5 .45, A7 .35"),
    _case("an environment nobody has", _oom(environment="staging"), "A6 .45, A7 .35"),
    _case("two labels that differ", _oom(environment="staging", priority="P3"), "A7 .35"),
    _case("severity has no wildcard", _oom(severity="high"), ""),
    _case("letter case of the signal counts", _oom(signal_type="oomkilled"), ""),
    _case("letter case of the component counts", _oom(component="Pod"), "A5 .45, A7 .35"),
    _case("exact before wildcard although older", a_search(WILD), "G1 .5, G2 .45"),
    _case("only the wildcard is left", a_search(WILD, component="unknown-component"), "G2 .45"),
    _case("any script and any symbol", a_search(UNICODE), "U1 .5"),
    _case("SQL is text", _oom(signal_type="'; DROP TABLE remediation_workflow_catalog; --"), ""),
    _case("and the table is still there", _oom(), EXACT_OOM),
)

DETECTED_CASES = (
    _case(
        "GitOps raises those that support it and lowers the others",
        _oom(detected_labels=GITOPS),
        "A4 .51, A3 .51, A2 .51, A1 .49, A6 .44, A5 .44, A7 .34",
    ),
    _case(
        "the tool itself, any tool, another tool, none",
        _oom(detected_labels=GITOPS | {"gitOpsTool": "argocd"}),
        "A2 .52, A4 .515, A3 .5, A1 .48, A6 .43, A5 .43, A7 .33",
    ),
    _case(
        "a tool alone",
        _oom(detected_labels={"gitOpsTool": "flux"}),
        "A3 .51, A4 .505, A2 .49, A1 .49, A6 .44, A5 .44, A7 .34",
    ),
    _case(
        "any tool is half a boost and never a conflict",
        _oom(detected_labels={"gitOpsTool": "*"}),
        "A4 .505, A3 .505, A2 .505, A1 .5, A6 .45, A5 .45, A7 .35",
    ),
    _case(
        "a failed detection of GitOps silences the tool too",
        _oom(
            detected_labels=GITOPS | {"gitOpsTool": "argocd", "failed_detections": ["gitOpsManaged"]},
        ),
        EXACT_OOM,
    ),
    _case(
        "a disruption budget is a boost without penalty",
        _oom(detected_labels={"pdbProtected": True}),
        "A4 .5, A3 .5, A2 .5, A1 .5, A6 .45, A5 .45, A7 .355",
    ),
    _case(
        "a failed detection of the budget",
        _oom(detected_labels={"pdbProtected": True, "failed_detections": ["pdbProtected"]}),
        EXACT_OOM,
    ),
    _case(
        "everything detected, three custom labels",
        _oom(
            component="deployment",
            detected_labels=EVERYTHING,
            custom_labels={"team": ["name=payments"], "constraint": ["cost-constrained", "stateful-safe"]},
        ),
        "A8 .554, A5 .43, A7 .335",
    ),
    _case(
        "false is the same as absent",
        _oom(detected_labels={"gitOpsManaged": False, "stateful": False}),
        EXACT_OOM,
    ),
    _case(
        "four small flags",
        _oom(
            component="deployment",
            detected_labels=dict.fromkeys(("networkIsolated", "helmManaged", "stateful", "hpaEnabled"), True),
        ),
        "A8 .509, A5 .45, A7 .35",
    ),
    _case(
        "the mesh itself, any mesh, another, none",
        a_search(MESH, detected_labels={"serviceMesh": "istio"}),
        "B1 .505, B3 .5025, B4 .5, B2 .5",
    ),
    _case(
        "any mesh",
        a_search(MESH, detected_labels={"serviceMesh": "*"}),
        "B3 .5025, B2 .5025, B1 .5025, B4 .5",
    ),
    _case("no mesh asked for", a_search(MESH), ALL_B),
    _case(
        "a failed detection of the mesh",
        a_search(MESH, detected_labels={"serviceMesh": "istio", "failed_detections": ["serviceMesh"]}),
        ALL_B,
    ),
)

CUSTOM_CASES = (
    _case(
        "the value itself, any value, another",
        a_search(CUSTOM, custom_labels=_team("name=payments")),
        "C1 .505, C2 .5025, C5 .5, C4 .5, C3 .5",
    ),
    _case(
        "two subdomains add up",
        a_search(CUSTOM, custom_labels=_team("name=payments") | {"constraint": ["cost-constrained"]}),
        "C1 .51, C5 .505, C2 .5025, C4 .5, C3 .5",
    ),
    _case(
        "two values of one subdomain, one of them by wildcard",
        a_search(CUSTOM, custom_labels={"constraint": ["cost-constrained", "stateful-safe"]}),
        "C5 .5075, C1 .505, C4 .5, C3 .5, C2 .5",
    ),
    _case(
        "a value named twice counts once",
        a_search(CUSTOM, custom_labels=_team("name=payments", "name=payments")),
        "C1 .505, C2 .5025, C5 .5, C4 .5, C3 .5",
    ),
    _case(
        "a subdomain nobody has excludes nobody",
        a_search(CUSTOM, custom_labels={"region": ["zone=us-east-1"]}),
        ALL_C,
    ),
    _case("a subdomain without values", a_search(CUSTOM, custom_labels=_team()), ALL_C),
    _case(
        "quotes are text",
        a_search(CUSTOM, custom_labels=_team("x' OR '1'='1")),
        "C2 .5025, C5 .5, C4 .5, C3 .5, C1 .5",
    ),
    _case(
        "JSON is text",
        a_search(CUSTOM, custom_labels=_team('a"b\\c')),
        "C2 .5025, C5 .5, C4 .5, C3 .5, C1 .5",
    ),
    _case(
        "custom labels are worth half a point at most", a_search(MANY, custom_labels=FIFTEEN_VALUES), "F1 .55"
    ),
)

CUT_CASES = (
    _case(
        "a minimal score is inclusive",
        _oom(min_score=0.45),
        "A4 .5, A3 .5, A2 .5, A1 .5, A6 .45, A5 .45",
    ),
    _case("just above a score", _oom(min_score=0.4501), "A4 .5, A3 .5, A2 .5, A1 .5"),
    _case("the total counts before the cut", _oom(top_k=2), "A4 .5, A3 .5", 7),
    _case("a score nobody reaches", _oom(min_score=1.0), ""),
    _case("of equals the newest wins", a_search(TIE, top_k=1), "D3 .5", 3),
    _case("equals are ordered newest first", a_search(TIE), "D3 .5, D2 .5, D1 .5"),
)

STATUS_CASES = (
    _case("active and latest versions only", a_search(STATUS), "E6 .5, E1 .5"),
    _case(
        "disabled ones too",
        a_search(STATUS, include_disabled=True),
        "E8 .5, E6 .5, E2 .5, E1 .5",
    ),
    _case("deprecated ones only", a_search(STATUS, status=["deprecated"]), "E3 .5"),
    _case("two statuses", a_search(STATUS, status=["active", "archived"]), "E6 .5, E4 .5, E1 .5"),
    _case(
        "a status and disabled ones",
        a_search(STATUS, status=["deprecated"], include_disabled=True),
        "E8 .5, E3 .5, E2 .5",
    ),
    _case("an empty list of statuses means active", a_search(STATUS, status=[]), "E6 .5, E1 .5"),
)

CASES = MANDATORY_CASES + DETECTED_CASES + CUSTOM_CASES + CUT_CASES + STATUS_CASES
