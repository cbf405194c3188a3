"""Searching a real database agrees with a scorer that was written from the rules, one workflow at a time.

The other scorer shares no code with the service: decimals instead of thousandths, no memory, no SQL.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import msgspec
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, insert

from datastorage.tables import remediation_workflow_catalog
from datastorage.workflows.explain import explanation
from datastorage.workflows.model import SearchRequest
from datastorage.workflows.schemas import SearchSchema
from datastorage.workflows.scoring import Labels
from datastorage.workflows.store import WorkflowStore
from tests.support.workflow_rows import a_workflow_row

START = datetime(2026, 1, 14, tzinfo=UTC)
FLAG_WEIGHTS = {
    "gitOpsManaged": "0.10", "pdbProtected": "0.05", "networkIsolated": "0.03", "helmManaged": "0.02",
    "stateful": "0.02", "hpaEnabled": "0.02",
}  # fmt: skip
TOOL_WEIGHTS = {"gitOpsTool": "0.10", "serviceMesh": "0.05"}
TOOLS = {"gitOpsTool": ["argocd", "flux", "*"], "serviceMesh": ["istio", "linkerd", "*"]}
DETECTIONS = [*FLAG_WEIGHTS, "serviceMesh"]
STATUSES = ["active", "disabled", "deprecated", "archived"]


def flags(keys: Any) -> Any:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, st.booleans()))


def tools(extra: list[str]) -> Any:
    return st.fixed_dictionaries(
        {}, optional={key: st.sampled_from([*values, *extra]) for key, values in TOOLS.items()}
    )


CUSTOM = st.dictionaries(
    st.sampled_from(["team", "app", "a.b"]),
    st.lists(st.sampled_from(["x", "y", "z", "*", "a\"b'"]), max_size=5),
)
DECLARED = st.builds(
    lambda on, tool: {key: value for key, value in (on | tool).items() if value},
    flags(FLAG_WEIGHTS),
    tools([]),
)
WORKFLOW = st.fixed_dictionaries(
    {
        "severity": st.sampled_from(["high", "low"]),
        "component": st.sampled_from(["pod", "node", "*"]),
        "environment": st.sampled_from(["prod", "*"]),
        "priority": st.sampled_from(["P0", "P1", "*"]),
        "detected": DECLARED,
        "custom": CUSTOM,
        "status": st.sampled_from(["active", "active", *STATUSES]),
        "is_latest": st.sampled_from([True, True, True, False]),
        "second": st.integers(0, 3),
    }
)
SEARCH = st.fixed_dictionaries(
    {
        "filters": st.fixed_dictionaries(
            {
                "severity": st.sampled_from(["high", "low"]),
                "component": st.sampled_from(["pod", "node", "", "*", "cronjob"]),
                "environment": st.sampled_from(["prod", "staging", "", "*"]),
                "priority": st.sampled_from(["P0", "P1", ""]),
                "detected_labels": st.builds(
                    lambda on, tool, failed: on | tool | {"failed_detections": failed},
                    flags(FLAG_WEIGHTS),
                    tools([""]),
                    st.lists(st.sampled_from(DETECTIONS), max_size=3),
                ),
                "custom_labels": CUSTOM,
                "status": st.lists(st.sampled_from(STATUSES), max_size=2),
            }
        ),
        "top_k": st.integers(1, 12),
        "min_score": st.sampled_from(["0", "0.35", "0.45", "0.5", "0.5001", "0.52"]).map(Decimal),
        "include_disabled": st.booleans(),
    }
)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(workflows=st.lists(WORKFLOW, max_size=12), search=SEARCH)
def test_search_agrees_with_the_rules(
    store: WorkflowStore, owner_engine: Engine, workflows: list[dict[str, Any]], search: dict[str, Any]
) -> None:
    signal = f"Any-{uuid4()}"
    rows = [as_row(signal, workflow) for workflow in workflows]
    if rows:
        with owner_engine.connect() as connection:
            connection.execute(insert(remediation_workflow_catalog), rows)
    request: SearchRequest = SearchSchema().read(
        search | {"filters": search["filters"] | {"signal_type": signal}}
    )

    best = store.find_best(request)

    expected = by_the_rules(rows, search)
    assert [found.total for found in best] == [len(expected)] * min(len(expected), request.top_k)
    found = [(found.workflow_id, Decimal(str(found.score.final))) for found in best]
    assert found == expected[: request.top_k]
    for row in rows:
        check_explanation(request, row)


def as_row(signal: str, workflow: dict[str, Any]) -> dict[str, Any]:
    mandatory = ("severity", "component", "environment", "priority")
    return a_workflow_row(
        labels={"signal_type": signal} | {name: workflow[name] for name in mandatory},
        detected_labels=workflow["detected"],
        custom_labels=workflow["custom"],
        status=workflow["status"],
        is_latest_version=workflow["is_latest"],
        created_at=START + timedelta(seconds=workflow["second"]),
    )


def check_explanation(request: SearchRequest, row: dict[str, Any]) -> None:
    """Check that what an explanation lists adds up to the points."""
    declared = Labels(row["labels"], row["custom_labels"], row["detected_labels"])
    expected = points_of(row, msgspec.to_builtins(request.echo))
    if expected is not None:
        listed = explanation(request.wanted, declared)
        assert sum(Decimal(str(each.points)) for each in listed) == expected


def by_the_rules(rows: list[dict[str, Any]], search: dict[str, Any]) -> list[tuple[UUID, Decimal]]:
    """Return every result in order, as the rules say it in words."""
    filters = search["filters"]
    statuses = set(filters["status"]) or {"active"}
    if search["include_disabled"]:
        statuses.add("disabled")
    scored = []
    for row in rows:
        points = points_of(row, filters)
        if not row["is_latest_version"] or row["status"] not in statuses or points is None:
            continue
        final = points / 10
        if final >= search["min_score"]:
            scored.append((row, final))
    scored.sort(key=lambda each: str(each[0]["workflow_id"]))
    scored.sort(key=lambda each: each[0]["created_at"], reverse=True)
    scored.sort(key=lambda each: each[1], reverse=True)
    return [(row["workflow_id"], final) for row, final in scored]


def points_of(row: dict[str, Any], filters: dict[str, Any]) -> Decimal | None:
    points = Decimal(0)
    if row["labels"]["severity"] != filters["severity"]:
        return None
    points += 2
    for label in ("component", "environment", "priority"):
        declared = row["labels"][label]
        if declared == "*":
            points += Decimal("0.5")
        elif declared == filters[label]:
            points += 1
        else:
            return None
    return (
        points
        + detected_points(row["detected_labels"], filters["detected_labels"])
        + custom_points(row["custom_labels"], filters.get("custom_labels", {}))
    )


def detected_points(declared: dict[str, Any], searched: dict[str, Any]) -> Decimal:
    failed = set(searched.get("failed_detections", []))
    if "gitOpsManaged" in failed:
        failed.add("gitOpsTool")
    points = Decimal(0)
    for key, weight in FLAG_WEIGHTS.items():
        if searched.get(key) and key not in failed:
            conflict = Decimal("-0.10") if key == "gitOpsManaged" else Decimal(0)
            points += Decimal(weight) if declared.get(key) else conflict
    for key, weight in TOOL_WEIGHTS.items():
        if searched.get(key) and key not in failed:
            points += tool_points(key, declared.get(key), searched[key], Decimal(weight))
    return points


def tool_points(key: str, declared: str | None, searched: str, weight: Decimal) -> Decimal:
    if declared is not None and "*" in {declared, searched}:
        return weight / 2
    if declared == searched:
        return weight
    return Decimal("-0.10") if key == "gitOpsTool" and searched != "*" else Decimal(0)


def custom_points(declared: dict[str, list[str]], searched: dict[str, list[str]]) -> Decimal:
    points = Decimal(0)
    for subdomain, values in searched.items():
        for value in set(values):
            has = declared.get(subdomain, [])
            if value in has:
                points += Decimal("0.05")
            elif "*" in has:
                points += Decimal("0.025")
    return min(points, Decimal("0.50"))
