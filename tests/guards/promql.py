"""What an expression in PromQL asks for, and whether the service exports it."""

import re
from collections.abc import Iterator
from functools import cache

import promql_parser
from prometheus_client import Counter, Gauge, Histogram
from promql_parser import AggregateExpr, BinaryExpr, Expr, MatchOp, VectorSelector

from datastorage.platform.metrics import Metrics

TARGET = {"namespace", "pod", "job", "instance", "service"}
"""What Prometheus adds when it scrapes through a ServiceMonitor."""

TARGET_METRICS = {"up"}
"""What Prometheus itself records about a target."""

SUFFIXES = {"_bucket": {"le"}, "_sum": set[str](), "_count": set[str]()}


@cache
def exported() -> dict[str, set[str]]:
    """Return the labels of every series name a scrape shows."""
    found: dict[str, set[str]] = {}
    for metric in vars(Metrics()).values():
        if isinstance(metric, Histogram):
            found |= {metric._name + suffix: {*metric._labelnames, *own} for suffix, own in SUFFIXES.items()}
        elif isinstance(metric, Counter):
            found[f"{metric._name}_total"] = set(metric._labelnames)
        elif isinstance(metric, Gauge):
            found[metric._name] = set(metric._labelnames)
    return found


@cache
def known_values() -> dict[tuple[str, str], set[str]]:
    """Return the values that the labels of a series name start with."""
    found: dict[tuple[str, str], set[str]] = {}
    for family in Metrics().registry.collect():
        for sample in family.samples:
            for label, value in sample.labels.items():
                found.setdefault((sample.name, label), set()).add(value)
    return found


def faults(expression: str) -> list[str]:
    """Return everything an expression asks for that no scrape would show.

    Raises:
        ValueError: it is no PromQL.
    """
    nodes: list[Expr] = []
    promql_parser.walk(promql_parser.parse(expression), nodes.append)
    selectors = [node for node in nodes if isinstance(node, VectorSelector)]
    labels = {label for selector in selectors for name in names_of(selector) for label in labels_of(name)}
    asked = {label for node in nodes for label in grouping(node)}
    return [
        *(fault for selector in selectors for fault in faults_of(selector)),
        *(f"no metric in {expression!r} has the label {label}" for label in sorted(asked - labels)),
    ]


def names_of(selector: VectorSelector) -> set[str]:
    """Return the series names a selector may mean."""
    if selector.name:
        return {selector.name}
    patterns = [each.value for each in selector.matchers.matchers if each.name == "__name__"]
    return {name for pattern in patterns for name in exported() if re.fullmatch(pattern, name)}


def labels_of(name: str) -> set[str]:
    return TARGET | exported().get(name, set())


def grouping(node: Expr) -> list[str]:
    """Return the labels by which a node groups or joins."""
    if isinstance(node, AggregateExpr) and node.modifier:
        return node.modifier.labels
    if isinstance(node, BinaryExpr) and node.modifier and node.modifier.matching:
        return [*node.modifier.matching.labels, *(node.modifier.group_labels or ())]
    return []


def faults_of(selector: VectorSelector) -> Iterator[str]:
    names = names_of(selector)
    if not names:
        yield f"no metric is called {selector}"
    for name in names:
        if name not in exported() and name not in TARGET_METRICS:
            yield f"no metric is called {name}"
        for matcher in selector.matchers.matchers:
            if matcher.name == "__name__" or matcher.name in TARGET:
                continue
            if matcher.name not in labels_of(name):
                yield f"{name} has no label {matcher.name}"
            elif matcher.op in (MatchOp.Equal, MatchOp.NotEqual) and not is_known(
                name, matcher.name, matcher.value
            ):
                yield f"{matcher.name} of {name} is never {matcher.value}"


def is_known(name: str, label: str, value: str) -> bool:
    return value in known_values().get((name, label), {value})
