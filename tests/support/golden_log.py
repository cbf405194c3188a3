"""The events and statements of the golden log, stored as writers would have."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import TEXT, Connection, NullPool, cast, create_engine, delete, func, insert, literal, select

from datastorage.tables import audit_events, audit_unsealed
from tests.support.ledger_vectors import texts
from tests.support.servers import TestDatabase


@contextmanager
def owner_of(ledger: TestDatabase) -> Iterator[Connection]:
    engine = create_engine(ledger.owner_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def store_golden_log(owner: Connection) -> None:
    """Store what the vectors have, in their order, as writers would have."""
    owner.execute(delete(audit_unsealed))
    for month in (date(2026, 10, 1), date(2026, 11, 1)):
        owner.execute(select(func.ensure_month_partition("audit_events", month)))
    for line in texts():
        members = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        if "statement_id" in members:
            statement_id = msgspec.json.decode(members["statement_id"])
            waiting = {"event_id": statement_id, "event_date": None, "statement": line.decode()}
        else:
            row = {
                name.replace("version", "event_version"): as_sql(name, raw) for name, raw in members.items()
            }
            owner.execute(insert(audit_events).values(row))
            waiting = {"event_id": row["event_id"], "event_date": row["event_date"], "statement": None}
        owner.execute(insert(audit_unsealed).values(waiting))


def as_sql(name: str, raw: msgspec.Raw) -> Any:
    column = audit_events.c[name.replace("version", "event_version")]
    value = (
        bytes(raw).decode()
        if name.startswith("event_data") or name == "event_metadata"
        else msgspec.json.decode(raw)
    )
    return None if value is None else cast(literal(str(value), TEXT), column.type)
