"""The statement of a search and what it is executed with; what it finds is tested in a database."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from datastorage.workflows.ranking import BEST, parameters
from datastorage.workflows.schemas import SearchSchema
from tests.support.workflow_builders import a_search


def parameters_of(**members: Any) -> dict[str, Any]:
    request = SearchSchema().read(a_search("S/high/node/prod/P1", **members))
    return parameters(request)


def test_searched_labels_are_named_as_in_the_index() -> None:
    assert all(f"(w.labels ->> '{label}') = " in BEST.text for label in ("signal_type", "severity"))


def test_every_parameter_has_a_value_in_every_search() -> None:
    named = set(re.findall(r"%\((\w+)\)s", BEST.text))

    assert parameters_of().keys() == named
    assert parameters_of(detected_labels={"stateful": True}, custom_labels={"team": ["a"]}).keys() == named


def test_labels_whose_detection_failed_are_not_searched() -> None:
    searched = {
        "gitOpsManaged": True,
        "gitOpsTool": "flux",
        "stateful": True,
        "failed_detections": ["gitOpsManaged"],
    }

    made = parameters_of(detected_labels=searched)

    assert (made["gitOpsManaged"], made["gitOpsTool"], made["stateful"]) == (None, None, "true")


def test_value_that_is_searched_twice_counts_once() -> None:
    made = parameters_of(custom_labels={"team": ["a", "a", "b"]})

    assert json.loads(made["sent_rows"]) == [
        {"subdomain": "team", "value": "a"},
        {"subdomain": "team", "value": "b"},
    ]


@pytest.mark.parametrize(
    ("min_score", "points"),
    [
        ("0", 0),
        ("0.45", 4500),
        ("0.4501", 4501),
        ("0.45" + "0" * 40 + "1", 4501),
        ("0.4499" + "9" * 40, 4500),
        ("0.5025", 5025),
        ("1E-500", 1),
        ("1", 10000),
    ],
)
def test_minimal_score_is_inclusive_and_exact(min_score: str, points: int) -> None:
    assert parameters_of(min_score=Decimal(min_score))["min_points"] == points
