"""Check and unit-test the alert rules with promtool, which no package index has: ``make alerts``.

The rules are read out of the manifest, so that there is one copy of them.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "k8s" / "components" / "monitoring" / "alerts.yaml"
TESTS = Path(__file__).with_name("alerts.test.yaml")
BUILD = ROOT / "build" / "alerts"
LIMIT, REDUCED = "> 5000", "> 50"
"""promtool refuses to look at ten thousand samples at once, so the rule is tested with fewer series."""


def main() -> int:
    """Return 0 when promtool is content."""
    BUILD.mkdir(parents=True, exist_ok=True)
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))["spec"]
    write(BUILD / "rules.yaml", rules)
    write(BUILD / "cardinality.yaml", reduced(rules))
    write(BUILD / "cardinality.test.yaml", cardinality())
    commands: list[list[str | Path]] = [
        ["promtool", "check", "rules", BUILD / "rules.yaml"],
        ["promtool", "test", "rules", TESTS, BUILD / "cardinality.test.yaml"],
    ]
    return max(subprocess.run(command, check=False).returncode for command in commands)  # noqa: S603 - fixed words


def write(path: Path, document: object) -> None:
    """Write a YAML file."""
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def reduced(rules: dict[str, Any]) -> dict[str, Any]:
    """Return the rule about HTTP series with a smaller limit, and nothing else."""
    (rule,) = [
        rule for group in rules["groups"] for rule in group["rules"] if rule["alert"].endswith("Cardinality")
    ]
    return {"groups": [{"name": "reduced", "rules": [rule | {"expr": rule["expr"].replace(LIMIT, REDUCED)}]}]}


def cardinality() -> dict[str, Any]:
    """Return one test with as many HTTP series as are allowed, and one with one more."""
    labels = {"severity": "warning", "service": "data-storage", "namespace": "prod", "job": "datastorage"}
    alert = {"alertname": "DataStorageHighMetricCardinality", "alertstate": "firing"} | labels
    firing = [{"labels": f"ALERTS{{{selector(alert)}}}", "value": 1}]
    return {
        "rule_files": ["cardinality.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            expectation(50, "6m", []),
            expectation(51, "4m", []),
            expectation(51, "6m", firing),
        ],
    }


def expectation(number: int, moment: str, expected: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a test of what fires at a moment, with so many HTTP series."""
    names = [
        {"namespace": "prod", "job": "datastorage", "method": "GET", "path": f"/{n}", "status": "200"}
        for n in range(number)
    ]
    query = 'ALERTS{alertstate="firing", alertname="DataStorageHighMetricCardinality"}'
    return {
        "name": f"{number} HTTP series after {moment}",
        "interval": "1m",
        "input_series": [
            {"series": f"datastorage_http_request_total{{{selector(each)}}}", "values": "1x10"}
            for each in names
        ],
        "promql_expr_test": [{"expr": query, "eval_time": moment, "exp_samples": expected}],
    }


def selector(labels: Mapping[str, str]) -> str:
    """Return labels as PromQL writes them."""
    return ", ".join(f'{name}="{value}"' for name, value in labels.items())


if __name__ == "__main__":
    sys.exit(main())
