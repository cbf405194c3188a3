"""The alerts ask for metrics that exist, say what to do, and are tested firing and silent."""

import re
from typing import Any

import pytest
import yaml

from tests.guards.manifests import production
from tests.guards.promql import faults
from tests.guards.source import ROOT

RULES: list[dict[str, Any]] = [
    rule for group in production().get("PrometheusRule").spec["groups"] for rule in group["rules"]
]
TESTS = yaml.safe_load((ROOT / "tests" / "alerts" / "alerts.test.yaml").read_text(encoding="utf-8"))["tests"]
MADE_BY_PROGRAM = {"DataStorageHighMetricCardinality"}
"""Tested by ``tests/alerts/__main__.py``: its test needs more series than a person would write down."""

EXPECTED = {
    "AuditReadsDropped": "warning",
    "AuthBackendDown": "critical",
    "AuthPolicyInvalid": "warning",
    "AuthRefusals": "warning",
    "CertificateExpiring": "warning",
    "CircuitOpen": "critical",
    "ConnectionLimit": "warning",
    "DLQActive": "warning",
    "DLQCritical": "critical",
    "DLQNearCapacity": "warning",
    "DLQNotDraining": "warning",
    "DLQOverflowImminent": "critical",
    "DLQRefusing": "critical",
    "DeadLetters": "critical",
    "Down": "critical",
    "ErrorBudgetExhausted": "critical",
    "ErrorBudgetLow": "warning",
    "HighMetricCardinality": "warning",
    "HighQueryErrorRate": "critical",
    "HighThroughput": "warning",
    "HighWriteErrorRate": "critical",
    "LedgerAuditDifferences": "critical",
    "LedgerAuditOld": "warning",
    "LedgerBehind": "warning",
    "LedgerPublishFailing": "warning",
    "LedgerStopped": "critical",
    "LedgerUnsigned": "warning",
    "LogBlocked": "warning",
    "Overloaded": "warning",
    "P95LatencyHigh": "warning",
    "PartitionsLow": "critical",
    "PoolSaturated": "critical",
    "PoolWait": "warning",
    "PostgreSQLFailure": "critical",
    "QueueVolatile": "warning",
    "RedisDown": "warning",
    "SlowQueries": "warning",
    "ValidationSpike": "warning",
    "WorkerCrash": "warning",
    "WritesRateLimited": "warning",
}

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))


def test_every_alert_is_there_with_its_severity() -> None:
    assert {rule["alert"]: rule["labels"]["severity"] for rule in RULES} == {
        f"DataStorage{name}": severity for name, severity in EXPECTED.items()
    }


ACCESS = {
    "AuthBackendDown": ('increase(datastorage_auth_requests_total{result="unavailable"}[2m])) > 0', "1m"),
    "AuthPolicyInvalid": ("datastorage_auth_policy_valid == 0", "5m"),
    "AuthRefusals": ("rate(datastorage_auth_refusals_total[5m])) > 1", "10m"),
    "WritesRateLimited": ('increase(datastorage_rate_limited_total{permission="write"}[5m])) > 0', "5m"),
}
"""What the contract says about alerts of access control; an aggregation may stand before it."""


@pytest.mark.parametrize("name", ACCESS)
def test_alerts_of_access_control_have_their_condition(name: str) -> None:
    (rule,) = [rule for rule in RULES if rule["alert"] == f"DataStorage{name}"]

    condition, patience = ACCESS[name]
    assert rule["expr"].endswith(condition)
    assert rule["for"] == patience


@each_rule
def test_the_expression_asks_for_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    assert faults(rule["expr"]) == []


@each_rule
def test_the_alert_says_whose_it_is_and_what_is_wrong(rule: dict[str, Any]) -> None:
    assert rule["labels"]["service"] == "data-storage"
    assert rule["annotations"].keys() == {"summary", "runbook_url"}
    assert rule["annotations"]["summary"].endswith(".")


@each_rule
def test_what_the_summary_shows_is_a_label_of_the_alert(rule: dict[str, Any]) -> None:
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    kept = re.findall(r"\bby \(([\w, ]+)\)", rule["expr"])

    # Without an aggregation a series keeps all its labels.
    assert not kept or shown <= set(kept[0].split(", "))


@each_rule
def test_the_runbook_has_a_heading_for_the_alert(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

    assert page == "https://git.example/datastorage/blob/main/docs/operations.md"
    assert anchor == rule["alert"].lower()
    assert re.search(rf"^#+ {rule['alert']}$", text, re.MULTILINE)


def test_the_runbook_has_no_heading_for_an_alert_that_is_gone() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

    assert set(re.findall(r"^#+ (DataStorage\w+)$", text, re.MULTILINE)) == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("alert", sorted({rule["alert"] for rule in RULES} - MADE_BY_PROGRAM))
def test_the_alert_is_tested_firing_and_silent(alert: str) -> None:
    checks = [check for test in TESTS if test["name"] == alert for check in test["promql_expr_test"]]
    is_firing = [any(f'"{alert}"' in sample["labels"] for sample in check["exp_samples"]) for check in checks]

    assert set(is_firing) == {True, False}


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("datastorage_write_totals", "no metric is called datastorage_write_totals"),
        (
            'datastorage_write_total{state="failure"}',
            "datastorage_write_total has no label state",
        ),
        (
            'datastorage_write_total{status="failed"}',
            "status of datastorage_write_total is never failed",
        ),
        (
            "sum by (stream) (datastorage_db_up)",
            "no metric in 'sum by (stream) (datastorage_db_up)' has the label stream",
        ),
    ],
)
def test_expressions_that_ask_for_something_else_are_found(expression: str, fault: str) -> None:
    assert faults(expression) == [fault]
