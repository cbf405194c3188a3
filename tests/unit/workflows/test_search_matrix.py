"""The same matrix through the pure functions alone: selection, scores and order without a database."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from datastorage.platform.web import json
from datastorage.workflows.explain import Ranked, best
from datastorage.workflows.labels import MANDATORY, Match, match_mandatory
from datastorage.workflows.model import SearchRequest
from datastorage.workflows.schemas import SearchSchema
from datastorage.workflows.scoring import Labels, points_for, score
from tests.support.search_matrix import CASES, CATALOGUE, Case, Row
from tests.support.workflow_builders import labels

START = datetime(2026, 1, 14, tzinfo=UTC)
SUPERSEDED = {row.shares_name_with for row in CATALOGUE}


def workflow_id_of(row: Row) -> UUID:
    return UUID(int=CATALOGUE.index(row))


def found_by(request: SearchRequest) -> list[Ranked]:
    """Find in Python what the statement finds in SQL."""
    return [
        ranked(request, row)
        for row in CATALOGUE
        if row.key not in SUPERSEDED
        and ("disabled" if row.disabled_later else row.status) in request.statuses
        and matches(labels(row.mandatory), request.wanted.mandatory)
    ]


def matches(declared: dict[str, str], searched: dict[str, str]) -> bool:
    return all(match_mandatory(name, declared[name], searched[name]) is not Match.NONE for name in MANDATORY)


def ranked(request: SearchRequest, row: Row) -> Ranked:
    declared = Labels(labels(row.mandatory), row.custom, row.detected)
    created_at = START + timedelta(seconds=CATALOGUE.index(row))
    return Ranked(workflow_id_of(row), created_at, score(request.wanted, declared))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_ranking_finds(case: Case) -> None:
    request: SearchRequest = SearchSchema().read(json.decode_exactly(msgspec.json.encode(case.request), ""))

    found = [each for each in found_by(request) if each.score.points >= points_for(request.min_score)]

    keys = {workflow_id_of(row): row.key for row in CATALOGUE}
    results = [(keys[each.workflow_id], each.score.final) for each in best(found, request.top_k)]
    assert results == list(case.finds)
    assert len(found) == case.total
