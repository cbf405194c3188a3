"""``remediation_workflow_catalog`` protects what the service promises, whoever writes to it."""

from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text, update

from datastorage.tables import remediation_workflow_catalog as catalog
from tests.support.schema import refused
from tests.support.workflow_builders import LABEL_NAMES
from tests.support.workflow_rows import a_workflow_row

INTEGRITY, UNIQUE, CHECK, FORBIDDEN = "23000", "23505", "23514", "42501"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("workflow_id", "00000000-0000-4000-8000-000000000001"),
        ("workflow_name", "another"),
        ("version", "2.0.0"),
        ("name", "Another"),
        ("description", "Another"),
        ("content", "steps: [1]"),
        ("content_hash", "1" * 64),
        ("labels", {"signal_type": "Another"}),
        ("custom_labels", {"team": ["name=storage"]}),
        ("detected_labels", {"stateful": True}),
    ],
)
def test_owner_cannot_change_identity_content_or_labels(
    as_owner: Connection, column: str, value: Any
) -> None:
    row = a_workflow_row()
    as_owner.execute(insert(catalog), row)

    with refused(as_owner, INTEGRITY) as caught:
        as_owner.execute(
            update(catalog).where(catalog.c.workflow_id == row["workflow_id"]).values({column: value})
        )

    assert "never change" in str(caught.value.orig)


def test_update_with_the_same_values_is_no_change(as_owner: Connection) -> None:
    row = a_workflow_row()
    as_owner.execute(insert(catalog), row)

    as_owner.execute(
        update(catalog)
        .where(catalog.c.workflow_id == row["workflow_id"])
        .values(labels=row["labels"], name=row["name"], status="disabled")
    )

    assert as_owner.scalar(select_one("status", row)) == "disabled"


def select_one(column: str, row: dict[str, Any]) -> Any:
    return select(catalog.c[column]).where(catalog.c.workflow_id == row["workflow_id"])


def test_every_update_moves_updated_at(as_owner: Connection) -> None:
    row = a_workflow_row()
    as_owner.execute(insert(catalog), row)
    before = as_owner.scalar(select_one("updated_at", row))

    as_owner.execute(
        update(catalog).where(catalog.c.workflow_id == row["workflow_id"]).values(updated_at=before)
    )

    assert as_owner.scalar(select_one("updated_at", row)) > before


def test_name_has_one_latest_version(as_owner: Connection) -> None:
    row = a_workflow_row()
    as_owner.execute(insert(catalog), row)

    with refused(as_owner, UNIQUE) as caught:
        as_owner.execute(insert(catalog), a_workflow_row(workflow_name=row["workflow_name"], version="2.0.0"))

    assert "idx_workflow_catalog_latest_by_name" in str(caught.value.orig)


def test_name_has_any_number_of_older_versions(as_owner: Connection) -> None:
    name = a_workflow_row()["workflow_name"]

    for version in ("1", "2", "3"):
        older = a_workflow_row(workflow_name=name, version=version, is_latest_version=False)
        as_owner.execute(insert(catalog), older)

    stored = as_owner.execute(select(catalog.c.version).where(catalog.c.workflow_name == name))
    assert {row.version for row in stored} == {"1", "2", "3"}


def test_version_exists_once_in_a_name(as_owner: Connection) -> None:
    row = a_workflow_row()
    as_owner.execute(insert(catalog), row)

    with refused(as_owner, UNIQUE) as caught:
        again = a_workflow_row(workflow_name=row["workflow_name"], is_latest_version=False)
        as_owner.execute(insert(catalog), again)

    assert "uq_workflow_name_version" in str(caught.value.orig)


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "retired"},
        {"expected_success_rate": 1.001},
        {"actual_success_rate": -0.001},
        {"total_executions": -1},
        {"successful_executions": 1},
        {"total_executions": 2, "successful_executions": 3},
        {"labels": []},
        {"custom_labels": "text"},
        {"detected_labels": 1},
    ],
)
def test_impossible_values_are_refused(as_owner: Connection, columns: dict[str, Any]) -> None:
    with refused(as_owner, CHECK):
        as_owner.execute(insert(catalog), a_workflow_row(**columns))


def longest(count: int) -> str:
    """Return characters of four bytes in an order that does not compress."""
    return "".join(chr(0x20000 + number * 7919 % 0xA000) for number in range(count))


def test_longest_texts_fit_every_index(as_app: Connection) -> None:
    columns = {
        "workflow_name": longest(255),
        "version": longest(50),
        "container_digest": longest(71),
        "labels": dict.fromkeys(LABEL_NAMES, longest(255)),
        "custom_labels": {
            f"{number}{'x' * 62}": [f"{value}{longest(99)}" for value in range(5)] for number in range(10)
        },
    }

    as_app.execute(insert(catalog), a_workflow_row(**columns))


def test_service_may_read_insert_and_update(as_app: Connection) -> None:
    row = a_workflow_row()

    as_app.execute(insert(catalog), row)
    as_app.execute(
        update(catalog).where(catalog.c.workflow_id == row["workflow_id"]).values(status="archived")
    )

    assert as_app.scalar(select_one("status", row)) == "archived"


@pytest.mark.parametrize("statement", ["DELETE FROM", "TRUNCATE"])
def test_service_may_not_remove(as_app: Connection, statement: str) -> None:
    with refused(as_app, FORBIDDEN):
        as_app.execute(text(f"{statement} remediation_workflow_catalog"))
