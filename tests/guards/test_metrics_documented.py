"""docs/metrics.md has one row for each metric, with the type and the labels it really has."""

import re
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram

from datastorage.platform.metrics import Metrics

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"\| `(datastorage_\w+)` \| (\w+) \| ([\w, ]*)\| ([^|]+) \| ([^|]+) \|")

Documented = dict[str, tuple[str, tuple[str, ...]]]


def documented() -> Documented:
    rows = [ROW.fullmatch(line) for line in DOCUMENT.read_text(encoding="utf-8").splitlines()]
    return {row[1]: (row[2], tuple(re.findall(r"\w+", row[3]))) for row in rows if row}


def exported() -> Documented:
    return {
        metric._name + ("_total" if isinstance(metric, Counter) else ""): (metric._type, metric._labelnames)
        for metric in vars(Metrics()).values()
        if isinstance(metric, Counter | Gauge | Histogram)
    }


def test_the_document_and_the_code_have_the_same_metrics() -> None:
    assert documented().keys() == exported().keys()


def test_the_document_gives_each_metric_its_type_and_labels() -> None:
    assert documented() == exported()


def test_every_row_of_the_document_is_complete_and_unique() -> None:
    rows = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]

    assert all(ROW.fullmatch(row) for row in rows)
    assert len(rows) == len(documented())
