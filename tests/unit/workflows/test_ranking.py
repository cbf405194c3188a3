"""Which candidates stay, and in which order."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from datastorage.workflows.ranking import Candidate, rank, reaches
from datastorage.workflows.scoring import Labels

NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
NODE = {"signal_type": "S", "severity": "high", "component": "node", "environment": "prod", "priority": "P1"}
WANTED = Labels(NODE, {"team": ["a"]}, {"stateful": True})
ANY_SCORE = Decimal(0)


def a_candidate(
    number: int = 1, *, at: datetime = NOON, component: str = "node", team: str = "b"
) -> Candidate:
    custom = msgspec.json.encode({"team": [team]}).decode()
    return Candidate(UUID(int=number), at, component, "prod", "P1", custom, "{}")


def numbers(candidates: list[Candidate], top_k: int = 100, min_score: Decimal = ANY_SCORE) -> list[int]:
    ranking = rank(WANTED, candidates, min_score=min_score, top_k=top_k)
    return [found.workflow_id.int for found in ranking.best]


def test_nothing_ranks_nothing() -> None:
    ranking = rank(WANTED, [], min_score=ANY_SCORE, top_k=5)

    assert (ranking.best, ranking.total) == ([], 0)


def test_score_comes_before_age() -> None:
    older_but_better = a_candidate(1, at=NOON - timedelta(days=1), team="a")

    assert numbers([a_candidate(2), older_but_better]) == [1, 2]


def test_newest_of_equals_comes_first_to_the_microsecond() -> None:
    newer = a_candidate(2, at=NOON + timedelta(microseconds=1))

    assert numbers([a_candidate(1), newer]) == [2, 1]


def test_smallest_id_is_the_last_resort() -> None:
    large = 1 << 127  # would come first if ids were compared as signed numbers

    assert numbers([a_candidate(large), a_candidate(3), a_candidate(2)]) == [2, 3, large]


def test_equal_points_of_different_parts_are_equals() -> None:
    by_wildcard = Labels(NODE, {"team": ["a"]}, {"pdbProtected": True})
    custom = a_candidate(1, team="a")
    detected = a_candidate(2, at=NOON + timedelta(seconds=1))._replace(
        detected_labels='{"pdbProtected":true}'
    )

    for candidates in ([custom, detected], [detected, custom]):
        ranking = rank(by_wildcard, candidates, min_score=ANY_SCORE, top_k=1)
        assert [found.workflow_id.int for found in ranking.best] == [2]


@pytest.mark.parametrize("top_k", [1, 2, 3, 4, 5, 6])
def test_cut_is_the_start_of_the_whole_order(top_k: int) -> None:
    candidates = [
        a_candidate(number, at=NOON + timedelta(seconds=number % 2), component=component, team=team)
        for number, (component, team) in enumerate(
            [("node", "a"), ("*", "a"), ("node", "b"), ("*", "b"), ("node", "a")]
        )
    ]

    assert numbers(candidates, top_k) == numbers(candidates)[:top_k]


def test_total_counts_what_reaches_the_score() -> None:
    candidates = [a_candidate(1, team="a"), a_candidate(2), a_candidate(3, component="*")]

    ranking = rank(WANTED, candidates, min_score=Decimal("0.5"), top_k=1)

    assert (len(ranking.best), ranking.total) == (1, 2)


@pytest.mark.parametrize(
    ("points", "min_score", "enough"),
    [
        (4500, "0.45", True),
        (4500, "0.4501", False),
        (4500, "0.45" + "0" * 40 + "1", False),
        (4500, "0.4499" + "9" * 40, True),
        (5025, "0.5025", True),
        (3300, "0", True),
        (5890, "1", False),
    ],
)
def test_minimal_score_is_inclusive_and_exact(points: int, min_score: str, *, enough: bool) -> None:
    assert reaches(points, Decimal(min_score)) is enough
