"""``POST /api/v1/workflows/search``: which workflows are found, with which scores, in which order."""

import json
from typing import Any

import pytest

from tests.support.http import Api
from tests.support.search_matrix import (
    CASES,
    EVERYTHING,
    FIFTEEN_VALUES,
    MANY,
    OOM,
    SAME_TIME,
    TIE,
    UNICODE,
    Case,
)
from tests.support.workflow_builders import SEARCH, a_search, labels


def found_in(answer: dict[str, Any], ids: dict[str, str]) -> list[tuple[str, float]]:
    keys = {workflow_id: key for key, workflow_id in ids.items()}
    return [(keys[found["workflow_id"]], found["final_score"]) for found in answer["workflows"]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_search_finds(case: Case, api: Api, catalogue: dict[str, str]) -> None:
    answer = api.post(SEARCH, case.request)

    assert answer.status == 200
    assert found_in(answer.json, catalogue) == list(case.finds)
    assert answer.json["total_results"] == case.total
    assert [found["rank"] for found in answer.json["workflows"]] == list(range(1, len(case.finds) + 1))


def test_equal_scores_and_times_are_ordered_by_id(api: Api, catalogue: dict[str, str]) -> None:
    answer = api.post(SEARCH, a_search(SAME_TIME))

    assert found_in(answer.json, catalogue) == [("H2", 0.5), ("H1", 0.5)]


def test_repeated_search_finds_the_same(api: Api, catalogue: dict[str, str]) -> None:
    answers = [api.post(SEARCH, a_search(TIE, top_k=1)).json for _ in range(5)]

    assert [found_in(answer, catalogue) for answer in answers] == [[("D3", 0.5)]] * 5


def test_boosts_are_shown_apart_and_together_as_far_as_clients_accept(
    api: Api, catalogue: dict[str, str]
) -> None:
    custom = {"team": ["name=payments"], "constraint": ["cost-constrained", "stateful-safe"]}
    request = a_search(OOM, component="deployment", detected_labels=EVERYTHING, custom_labels=custom)

    best = api.post(SEARCH, request).json["workflows"][0]

    assert best["workflow_id"] == catalogue["A8"]
    assert best["label_boost"] == 0.39
    assert best["detected_label_boost"] == 0.39
    assert best["custom_label_boost"] == 0.15
    assert best["label_penalty"] == 0
    assert best["mandatory_match_score"] == 5


def test_custom_boost_is_capped_at_half_a_point(api: Api, catalogue: dict[str, str]) -> None:
    best = api.post(SEARCH, a_search(MANY, custom_labels=FIFTEEN_VALUES)).json["workflows"][0]

    assert best["workflow_id"] == catalogue["F1"]
    assert best["custom_label_boost"] == 0.5
    assert best["label_boost"] == 0.39


def test_labels_of_any_script_are_echoed_as_they_were_sent(api: Api, catalogue: dict[str, str]) -> None:
    answer = api.post(SEARCH, a_search(UNICODE))

    assert len(catalogue) > 0
    assert answer.json["filters"] == {**labels(UNICODE), "detected_labels": {}}


@pytest.mark.parametrize(
    ("min_score", "total"),
    [("0.45000000000000000000000000000001", 4), ("0.45", 6), ("0.44999999999999999999999999999999", 6)],
)
def test_minimal_score_is_compared_as_the_decimal_that_was_written(
    api: Api, catalogue: dict[str, str], min_score: str, total: int
) -> None:
    body = json.dumps(a_search(OOM, min_score="X")).replace('"X"', min_score)

    answer = api.post(SEARCH, body=body.encode())

    assert len(catalogue) > 0
    assert answer.json["total_results"] == total
