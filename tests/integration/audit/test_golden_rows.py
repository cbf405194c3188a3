"""The text of a stored event, which is evidence, byte for byte as it was when the vectors were made.

When a test here fails, the texts of events that are sealed already have changed: undo it. A new member is
shown when set, stands at the end, and is NULL in older rows.
"""

import json
from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import TEXT, Connection, Engine, cast, func, insert, literal, select, text

from datastorage.audit.reader import AuditReader
from datastorage.tables import audit_events
from tests.support.ledger_vectors import content, texts

GOLDEN: list[dict[str, Any]] = [json.loads(line) for line in content("golden.ndjson").splitlines()]
ODD_SETTINGS = {"DateStyle": "German, DMY", "TimeZone": "Asia/Kolkata", "standard_conforming_strings": "off"}


@pytest.fixture(scope="module")
def golden_rows(owner_engine: Engine) -> Iterator[None]:
    """Store every row as it stands in the file, in a database whose sessions begin as odd as they may."""
    with owner_engine.connect() as owner:
        for month in (date(2026, 10, 1), date(2026, 11, 1)):
            owner.execute(select(func.ensure_month_partition("audit_events", month)))
        for golden in GOLDEN:
            owner.execute(insert(audit_events).values(as_stored(golden["row"])))
        for name, value in ODD_SETTINGS.items():
            change_database(owner, f"SET {name} = '{value}'")
        yield
        for name in ODD_SETTINGS:
            change_database(owner, f"RESET {name}")


def as_stored(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with its values as PostgreSQL reads them from text; columns not named are NULL."""
    columns = audit_events.c
    stored = {name: cast(literal(str(value), TEXT), columns[name].type) for name, value in row.items()}
    return dict.fromkeys(columns.keys()) | stored


def change_database(owner: Connection, change: str) -> None:
    owner.execute(text(f'ALTER DATABASE "{owner.engine.url.database}" {change}'))


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["why"].replace(" ", "-"))
@pytest.mark.usefixtures("golden_rows")
def test_text_of_a_golden_row_has_not_changed(reader: AuditReader, golden: dict[str, Any]) -> None:
    expected = texts()[golden["leaf_index"]]

    found = bytes(reader.find(UUID(golden["row"]["event_id"])))

    assert found == expected
    assert sha256(found).digest() == sha256(expected).digest()
