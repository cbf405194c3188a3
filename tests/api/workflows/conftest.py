from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import Engine, insert

from datastorage.tables import remediation_workflow_catalog
from tests.support.builders import unique
from tests.support.http import Api
from tests.support.search_matrix import CATALOGUE, SAME_TIME, Row
from tests.support.workflow_builders import a_plain_workflow, labels, patch, path_of, register
from tests.support.workflow_rows import a_workflow_row

AT_ONCE = datetime(2026, 1, 14, 9, 30, tzinfo=UTC)
SMALLER_ID = UUID("00000000-0000-4000-8000-00000000000a")
LARGER_ID = UUID("00000000-0000-4000-8000-00000000000b")


@pytest.fixture(scope="package")
def catalogue(api: Api, owner_engine: Engine) -> dict[str, str]:
    """The sets of the search matrix; from the key of each workflow to its id."""
    names: dict[str, str] = {}
    ids: dict[str, str] = {}
    for row in CATALOGUE:
        names[row.key] = names.get(row.shares_name_with or "") or unique(row.key)
        ids[row.key] = _create(api, row, names[row.key], version="2" if row.shares_name_with else "1")
    with owner_engine.connect() as connection:
        for key, workflow_id in (("H1", LARGER_ID), ("H2", SMALLER_ID)):
            stored = a_workflow_row(
                workflow_id=workflow_id, labels=labels(SAME_TIME), created_at=AT_ONCE, workflow_name=key
            )
            connection.execute(insert(remediation_workflow_catalog), stored)
            ids[key] = str(workflow_id)
    return ids


def _create(api: Api, row: Row, name: str, version: str) -> str:
    workflow = a_plain_workflow(
        row.mandatory,
        workflow_name=name,
        version=version,
        detected_labels=row.detected,
        custom_labels=row.custom,
        status=row.status,
    )
    created = register(api, **workflow)
    if row.disabled_later:
        assert patch(api, path_of(created, "/disable"), {}).status == 200
    workflow_id: str = created["workflow_id"]
    return workflow_id
