"""The rows of ``golden.ndjson``, stored as they stand there."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from sqlalchemy import TEXT, Connection, cast, func, insert, literal, select, text

from datastorage.tables import audit_events
from tests.support.ledger_vectors import content

GOLDEN: list[dict[str, Any]] = [json.loads(line) for line in content("golden.ndjson").splitlines()]
ODD_SETTINGS = {"DateStyle": "German, DMY", "TimeZone": "Asia/Kolkata", "standard_conforming_strings": "off"}


@contextmanager
def golden_rows_in(owner: Connection) -> Iterator[None]:
    """Store every row, in a database whose sessions begin as odd as they may."""
    for month in (date(2026, 10, 1), date(2026, 11, 1)):
        owner.execute(select(func.ensure_month_partition("audit_events", month)))
    for golden in GOLDEN:
        owner.execute(insert(audit_events).values(_as_stored(golden["row"])))
    for name, value in ODD_SETTINGS.items():
        _change_database(owner, f"SET {name} = '{value}'")
    yield
    for name in ODD_SETTINGS:
        _change_database(owner, f"RESET {name}")


def _as_stored(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with its values as PostgreSQL reads them from text; columns not named are NULL."""
    columns = audit_events.c
    stored = {name: cast(literal(str(value), TEXT), columns[name].type) for name, value in row.items()}
    return dict.fromkeys(columns.keys()) | stored


def _change_database(owner: Connection, change: str) -> None:
    owner.execute(text(f'ALTER DATABASE "{owner.engine.url.database}" {change}'))
