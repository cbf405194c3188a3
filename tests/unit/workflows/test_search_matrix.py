"""The same matrix through the pure functions alone: selection, scores and order without a database."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from datastorage.platform.web import json
from datastorage.workflows.labels import MANDATORY, Match, match_mandatory
from datastorage.workflows.model import SearchRequest
from datastorage.workflows.ranking import Candidate, rank
from datastorage.workflows.schemas import SearchSchema
from tests.support.search_matrix import CASES, CATALOGUE, Case, Row
from tests.support.workflow_builders import labels

START = datetime(2026, 1, 14, tzinfo=UTC)
SUPERSEDED = {row.shares_name_with for row in CATALOGUE}


def workflow_id_of(row: Row) -> UUID:
    return UUID(int=CATALOGUE.index(row))


def selected(request: SearchRequest) -> list[Candidate]:
    """Select in Python what the store selects in SQL."""
    return [
        candidate(row)
        for row in CATALOGUE
        if row.key not in SUPERSEDED
        and ("disabled" if row.disabled_later else row.status) in request.statuses
        and matches(labels(row.mandatory), request.wanted.mandatory)
    ]


def matches(declared: dict[str, str], searched: dict[str, str]) -> bool:
    return all(match_mandatory(name, declared[name], searched[name]) is not Match.NONE for name in MANDATORY)


def candidate(row: Row) -> Candidate:
    mandatory = labels(row.mandatory)
    return Candidate(
        workflow_id_of(row),
        START + timedelta(seconds=CATALOGUE.index(row)),
        mandatory["component"],
        mandatory["environment"],
        mandatory["priority"],
        msgspec.json.encode(row.custom).decode(),
        msgspec.json.encode(row.detected).decode(),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_ranking_finds(case: Case) -> None:
    request: SearchRequest = SearchSchema().read(json.decode_exactly(msgspec.json.encode(case.request), ""))

    ranking = rank(request.wanted, selected(request), min_score=request.min_score, top_k=request.top_k)

    keys = {workflow_id_of(row): row.key for row in CATALOGUE}
    assert [(keys[found.workflow_id], found.score.final) for found in ranking.best] == list(case.finds)
    assert ranking.total == case.total
