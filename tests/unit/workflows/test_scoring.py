"""How many points each label is worth, exactly."""

from typing import Any

import pytest

from datastorage.workflows.labels import DETECTED
from datastorage.workflows.scoring import Labels, Score, contributions, score

NODE = {"signal_type": "S", "severity": "high", "component": "node", "environment": "prod", "priority": "P1"}
FLAGS = [key for key, label in DETECTED.items() if not label.choices]


def labels(
    detected: dict[str, Any] | None = None,
    custom: dict[str, list[str]] | None = None,
    *,
    any_of: tuple[str, ...] = (),
) -> Labels:
    """Return the labels of the node, with wildcards for ``any_of``."""
    return Labels(NODE | dict.fromkeys(any_of, "*"), custom or {}, detected or {})


@pytest.mark.parametrize(
    ("wildcards", "points"),
    [
        ((), 5000),
        (("component",), 4500),
        (("component", "priority"), 4000),
        (("component", "environment", "priority"), 3500),
    ],
)
def test_a_wildcard_is_worth_half_a_point(wildcards: tuple[str, ...], points: int) -> None:
    assert score(labels(), labels(any_of=wildcards)) == Score(points, 0, 0, 0)


@pytest.mark.parametrize(
    ("key", "weight"),
    [
        ("gitOpsManaged", 100),
        ("pdbProtected", 50),
        ("networkIsolated", 30),
        ("helmManaged", 20),
        ("stateful", 20),
        ("hpaEnabled", 20),
    ],
)
def test_flag_that_both_have(key: str, weight: int) -> None:
    assert score(labels({key: True}), labels({key: True})) == Score(5000, weight, 0, 0)


@pytest.mark.parametrize("key", FLAGS)
def test_flag_that_only_the_workload_has(key: str) -> None:
    penalty = 100 if key == "gitOpsManaged" else 0

    assert score(labels({key: True}), labels()) == Score(5000, 0, 0, penalty)


@pytest.mark.parametrize("key", DETECTED)
def test_label_that_only_the_workflow_has_counts_for_nothing(key: str) -> None:
    declared = {key: True if key in FLAGS else DETECTED[key].choices[0]}

    assert score(labels(), labels(declared)) == Score(5000, 0, 0, 0)


@pytest.mark.parametrize(
    ("searched", "declared", "boost", "penalty"),
    [
        ("argocd", "argocd", 100, 0),
        ("argocd", "*", 50, 0),
        ("argocd", "flux", 0, 100),
        ("argocd", None, 0, 100),
        ("*", "argocd", 50, 0),
        ("*", "*", 50, 0),
        ("*", None, 0, 0),
    ],
)
def test_gitops_tool(searched: str, declared: str | None, boost: int, penalty: int) -> None:
    found = score(labels({"gitOpsTool": searched}), labels({"gitOpsTool": declared} if declared else {}))

    assert found == Score(5000, boost, 0, penalty)


@pytest.mark.parametrize(
    ("searched", "declared", "boost"),
    [
        ("istio", "istio", 50),
        ("istio", "*", 25),
        ("istio", "linkerd", 0),
        ("istio", None, 0),
        ("*", "istio", 25),
        ("*", "*", 25),
        ("*", None, 0),
    ],
)
def test_service_mesh_is_never_a_penalty(searched: str, declared: str | None, boost: int) -> None:
    found = score(labels({"serviceMesh": searched}), labels({"serviceMesh": declared} if declared else {}))

    assert found == Score(5000, boost, 0, 0)


def test_failures_on_the_side_of_the_workflow_mean_nothing() -> None:
    declared = {"stateful": True, "failed_detections": ["stateful"]}

    assert score(labels({"stateful": True}), labels(declared)) == Score(5000, 20, 0, 0)


def test_weights_and_penalties_sum_up_as_published() -> None:
    assert sum(label.weight for label in DETECTED.values()) == 390
    assert sum(label.penalty for label in DETECTED.values()) == 200


@pytest.mark.parametrize(("values", "points"), [(9, 450), (10, 500), (11, 500), (50, 500)])
def test_custom_labels_are_capped(values: int, points: int) -> None:
    custom = {"team": [str(number) for number in range(values)]}

    assert score(labels(custom=custom), labels(custom=custom)) == Score(5000, 0, points, 0)


def test_best_and_worst_score() -> None:
    everything = dict.fromkeys(FLAGS, True) | {"gitOpsTool": "flux", "serviceMesh": "istio"}
    custom = {f"s{number}": ["a", "b", "c", "d", "e"] for number in range(10)}

    best = score(labels(everything, custom), labels(everything, custom))
    worst = score(labels(everything, custom), labels(any_of=("component", "environment", "priority")))

    assert (best.final, best.label_boost) == (0.589, 0.39)
    assert (worst.final, worst.label_boost) == (0.33, 0.0)


@pytest.mark.parametrize(("points", "final"), [(5025, 0.5025), (5150, 0.515), (3300, 0.33), (5890, 0.589)])
def test_final_score_is_written_with_the_decimals_it_has(points: int, final: float) -> None:
    assert str(Score(points, 0, 0, 0).final) == str(final)


def test_contributions_name_only_what_was_searched() -> None:
    declared = labels({"stateful": True, "hpaEnabled": True}, {"team": ["a"]})

    named = [each.label for each in contributions(labels({"stateful": True}), declared)]

    assert named == [*NODE, "stateful"]
