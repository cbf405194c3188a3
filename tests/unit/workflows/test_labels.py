"""When a declared label matches a searched one, and what is left of labels that say nothing."""

from typing import Any

import pytest

from datastorage.workflows.labels import (
    Match,
    match_custom,
    match_detected,
    match_mandatory,
    normalised,
    pairs,
    trusted,
)

EXACT, WILDCARD, NONE = Match.EXACT, Match.WILDCARD, Match.NONE


@pytest.mark.parametrize("label", ["component", "environment", "priority"])
@pytest.mark.parametrize(
    ("declared", "searched", "match"),
    [
        ("pod", "pod", EXACT),
        ("*", "pod", WILDCARD),
        ("*", "nobody-has-seen-this", WILDCARD),
        ("*", "", WILDCARD),
        ("*", "*", WILDCARD),
        ("pod", "", NONE),
        ("pod", "*", NONE),
        ("pod", "node", NONE),
        ("pod", "Pod", NONE),
        ("pod", "pod ", NONE),
    ],
)
def test_label_that_may_be_a_wildcard(label: str, declared: str, searched: str, match: Match) -> None:
    assert match_mandatory(label, declared, searched) is match


@pytest.mark.parametrize("label", ["signal_type", "severity"])
@pytest.mark.parametrize(
    ("declared", "searched", "match"),
    [("high", "high", EXACT), ("high", "low", NONE), ("high", "HIGH", NONE), ("*", "high", NONE)],
)
def test_label_that_is_never_a_wildcard(label: str, declared: str, searched: str, match: Match) -> None:
    assert match_mandatory(label, declared, searched) is match


@pytest.mark.parametrize(
    ("declared", "searched", "match"),
    [
        (True, True, EXACT),
        (None, True, NONE),
        (False, True, NONE),
        ("argocd", "argocd", EXACT),
        ("*", "argocd", WILDCARD),
        ("argocd", "*", WILDCARD),
        ("*", "*", WILDCARD),
        ("flux", "argocd", NONE),
        (None, "argocd", NONE),
        (None, "*", NONE),
    ],
)
def test_detected_label(declared: Any, searched: Any, match: Match) -> None:
    assert match_detected(declared, searched) is match


@pytest.mark.parametrize(
    ("declared", "searched", "match"),
    [
        (["a", "b"], "b", EXACT),
        (["a", "*"], "a", EXACT),
        (["a", "*"], "b", WILDCARD),
        (["*"], "*", EXACT),
        (["a"], "*", NONE),
        (["a"], "b", NONE),
        ([], "b", NONE),
    ],
)
def test_custom_label(declared: list[str], searched: str, match: Match) -> None:
    assert match_custom(declared, searched) is match


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({}, {}),
        ({"stateful": False, "hpaEnabled": True}, {"hpaEnabled": True}),
        ({"gitOpsTool": "", "serviceMesh": "*"}, {"serviceMesh": "*"}),
        ({"gitOpsTool": None}, {}),
        ({"color": "red"}, {}),
        ({"failed_detections": []}, {}),
        (
            {"failed_detections": ["stateful", "hpaEnabled", "stateful"]},
            {"failed_detections": ["stateful", "hpaEnabled"]},
        ),
    ],
)
def test_detected_labels_keep_what_says_something(sent: dict[str, Any], kept: dict[str, Any]) -> None:
    assert normalised(sent) == kept


ALL = {"gitOpsManaged": True, "gitOpsTool": "flux", "serviceMesh": "istio", "stateful": True}


@pytest.mark.parametrize(
    ("failed", "gone"),
    [
        ([], set()),
        (["stateful"], {"stateful"}),
        (["serviceMesh"], {"serviceMesh"}),
        (["gitOpsManaged"], {"gitOpsManaged", "gitOpsTool"}),
        (["pdbProtected"], set()),
    ],
)
def test_failed_detections_are_not_trusted(failed: list[str], gone: set[str]) -> None:
    assert trusted(ALL | {"failed_detections": failed}).keys() == ALL.keys() - gone


def test_pairs_are_named_once() -> None:
    assert list(pairs({"team": ["a", "b", "a"], "none": [], "app": ["a"]})) == [
        ("team", "a"),
        ("team", "b"),
        ("app", "a"),
    ]
