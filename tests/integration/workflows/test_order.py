"""In which order a search finds workflows that differ in one thing."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, insert

from datastorage.tables import remediation_workflow_catalog
from datastorage.workflows.schemas import SearchSchema
from datastorage.workflows.store import WorkflowStore
from tests.support.workflow_builders import a_search, labels
from tests.support.workflow_rows import a_workflow_row

NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def add(owner_engine: Engine, *differing: dict[str, Any]) -> tuple[str, list[UUID]]:
    """Insert workflows of a signal of their own; return its mandatory labels and their ids."""
    mandatory = f"Order-{uuid4()}/high/pod/prod/P1"
    common = {"labels": labels(mandatory), "created_at": NOON, "custom_labels": {}, "detected_labels": {}}
    rows = [a_workflow_row(**(common | columns)) for columns in differing]
    with owner_engine.connect() as connection:
        connection.execute(insert(remediation_workflow_catalog), rows)
    return mandatory, [row["workflow_id"] for row in rows]


def found(store: WorkflowStore, mandatory: str, **searched: Any) -> list[UUID]:
    request = SearchSchema().read(a_search(mandatory, **searched))
    return [found.workflow_id for found in store.find_best(request)]


def test_newest_of_equals_comes_first_to_the_microsecond(store: WorkflowStore, owner_engine: Engine) -> None:
    mandatory, (older, newer) = add(owner_engine, {}, {"created_at": NOON + MICROSECOND})

    assert found(store, mandatory) == [newer, older]


def test_score_comes_before_age(store: WorkflowStore, owner_engine: Engine) -> None:
    older_but_better = {"created_at": NOON - timedelta(days=1), "custom_labels": {"team": ["a"]}}
    mandatory, (newer, better) = add(owner_engine, {}, older_but_better)

    assert found(store, mandatory, custom_labels={"team": ["a"]}) == [better, newer]


def test_smallest_id_is_the_last_resort(store: WorkflowStore, owner_engine: Engine) -> None:
    # Those with the first bit set would come first if ids were compared as signed numbers.
    ids = [UUID(int=uuid4().int | 1 << 127), UUID(int=uuid4().int & ~(1 << 127))]
    mandatory, (large, small) = add(owner_engine, *({"workflow_id": each} for each in ids))

    assert found(store, mandatory) == [small, large]


def test_equal_points_of_different_parts_are_equals(store: WorkflowStore, owner_engine: Engine) -> None:
    mandatory, (custom, detected) = add(
        owner_engine,
        {"custom_labels": {"team": ["a"]}},
        {"detected_labels": {"pdbProtected": True}, "created_at": NOON + MICROSECOND},
    )
    searched = {"custom_labels": {"team": ["a"]}, "detected_labels": {"pdbProtected": True}}

    assert found(store, mandatory, **searched, top_k=1) == [detected]
    assert found(store, mandatory, **searched) == [detected, custom]
