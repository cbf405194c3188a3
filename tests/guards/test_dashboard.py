"""The dashboard has its panels, and each asks only for what the service exports."""

import itertools
import json
import re
from typing import Any

import pytest

from tests.guards.manifests import K8S, production
from tests.guards.promql import faults

SOURCE = K8S / "components" / "monitoring" / "dashboard.json"
DASHBOARD: dict[str, Any] = json.loads(SOURCE.read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES: list[dict[str, Any]] = DASHBOARD["templating"]["list"]

ACCESS = {
    "Access refusals by reason": ["datastorage_auth_refusals_total"],
    "Access requests by mode and result": ["datastorage_auth_requests_total"],
    "Access reviews p99": ["datastorage_auth_review_duration_seconds_bucket"],
    "Rate limited": ["datastorage_rate_limited_total", "datastorage_rate_limit_backend_errors_total"],
}
"""The panels of the row about access, and what each shows."""

LEDGER = {
    "Ledger unsealed and its age",
    "Ledger seal lag",
    "Ledger size, here and published",
    "Feed followers",
}

EXPECTED = {
    *ACCESS,
    *LEDGER,
    "Pods up",
    "Version",
    "Readiness by pod",
    "Write rate by status",
    "Write duration",
    "Audit lag p95",
    "Query rate by operation",
    "Query duration p95 by operation",
    "HTTP rate by route",
    "HTTP latency p95 by route",
    "Write errors",
    "Read errors",
    "Validation failures by field",
    "Connection pool",
    "Connection wait p95",
    "Pool timeouts",
    "DLQ depth",
    "DLQ depth ratio",
    "DLQ oldest entry",
    "DLQ pending and parked",
    "DLQ enqueue",
    "DLQ retry results",
    "DLQ recovery age p95",
    "Dead letters",
    "Circuit state",
    "Worker exits",
    "Memory",
    "Partitions ahead",
    "Error budget left",
}

each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))


def test_every_panel_is_there() -> None:
    assert {panel["title"] for panel in PANELS} >= EXPECTED


def test_the_dashboard_refreshes_and_asks_for_namespace_and_pod() -> None:
    assert (DASHBOARD["schemaVersion"], DASHBOARD["refresh"]) == (42, "30s")
    assert [variable["name"] for variable in VARIABLES] == ["datasource", "namespace", "pod"]


@each_panel
def test_every_query_asks_for_metrics_and_labels_that_exist(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        assert faults(filled_in(target["expr"])) == []


@each_panel
def test_every_query_is_limited_to_the_namespace_chosen(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        selectors = re.findall(r"\{[^}]*\}", target["expr"])
        assert selectors
        assert all('namespace="$namespace"' in selector for selector in selectors)


@each_panel
def test_the_legend_shows_labels_that_the_query_keeps(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        kept = re.findall(r"\bby \(([\w, ]+)\)", target["expr"])
        assert not kept or shown <= set(kept[0].split(", "))


@each_panel
def test_panels_take_their_data_source_from_the_variable(panel: dict[str, Any]) -> None:
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]

    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def test_the_queries_of_the_variables_name_what_exists() -> None:
    for variable in VARIABLES[1:]:
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert asked is not None
        assert faults(f"sum by ({asked[2]}) ({filled_in(asked[1])})") == []


def test_the_warning_steps_of_the_queue_are_lines() -> None:
    (panel,) = [panel for panel in PANELS if panel["title"] == "DLQ depth ratio"]
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]

    assert [step["value"] for step in steps] == [None, 0.80, 0.90, 0.95]
    assert panel["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"] == {"mode": "line"}


def test_the_row_about_access_shows_who_is_refused_and_held_back() -> None:
    titles = [panel["title"] for panel in DASHBOARD["panels"]]
    row = DASHBOARD["panels"][titles.index("Access") + 1 :][: len(ACCESS)]
    shown = {
        panel["title"]: [re.findall(r"datastorage_\w+", target["expr"])[0] for target in panel["targets"]]
        for panel in row
    }

    assert shown == ACCESS


def test_panels_have_their_own_place_and_number() -> None:
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    cells = [cell for panel in DASHBOARD["panels"] for cell in cells_of(panel["gridPos"])]

    assert len(set(numbers)) == len(numbers)
    assert len(set(cells)) == len(cells), "panels overlap"
    assert max(x for x, _ in cells) < 24


def test_grafana_finds_the_dashboard_by_its_label() -> None:
    (found,) = [each for each in production().of_kind("ConfigMap") if each.name == "datastorage-dashboard"]

    assert found.labels["grafana_dashboard"] == "1"
    assert json.loads(found.body["data"]["datastorage.json"]) == DASHBOARD


def filled_in(expression: str) -> str:
    """Replace the variables that stand where PromQL wants a duration."""
    return re.sub(r"\$__(rate_interval|range)", "5m", expression)


def cells_of(place: dict[str, int]) -> list[tuple[int, int]]:
    columns = range(place["x"], place["x"] + place["w"])
    rows = range(place["y"], place["y"] + place["h"])
    return list(itertools.product(columns, rows))
