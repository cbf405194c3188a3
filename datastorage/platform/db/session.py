"""What our SQL relies on in every session, whatever server, role and pooler say.

One statement after connecting sets it, and reads what cannot be set. Start-up options would save its round
trip, but poolers refuse or drop them.
"""

from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

import psycopg
from sqlalchemy import column, exists, func, select, table

from datastorage.errors import DatabaseUnsuitable
from datastorage.platform.db.rendered import DIALECT
from datastorage.platform.db.transactions import milliseconds

LANDMARK: Final = "audit_events"
"""A table of this name must be visible by ``search_path`` if there is one in any schema."""

_PINNED: Final = {
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    # For statements outside transactions. Left to itself PostgreSQL plans each one ten times on every new
    # connection, 10 to 30 ms each time with 84 partitions, before it keeps a plan, if it does.
    "plan_cache_mode": "force_generic_plan",
}

_relations = table("pg_class", column("relname"), column("relkind"), schema="pg_catalog")


def prepare_session(driver: psycopg.Connection[Any], statement_timeout: timedelta) -> None:
    """Set up a new session.

    Raises:
        DatabaseUnsuitable: the service cannot work in this database until an operator changes it.
        psycopg.Error: there was no answer.
    """
    cursor = driver.execute(_pinning(milliseconds(statement_timeout)), prepare=False)
    [(encoding, search_path, is_visible, exists_anywhere, *_)] = cursor.fetchall()
    if encoding != "UTF8":
        raise DatabaseUnsuitable(f"database encoding must be UTF8, it is {encoding}")
    if exists_anywhere and not is_visible:
        raise DatabaseUnsuitable(f"{LANDMARK} is not visible by search_path, which is {search_path}")


@lru_cache
def _pinning(statement_timeout: int) -> bytes:
    pinned = _PINNED | {"statement_timeout": str(statement_timeout)}
    statement = select(
        func.current_setting("server_encoding"),
        func.current_setting("search_path"),
        func.to_regclass(LANDMARK).is_not(None),
        exists().where(_relations.c.relname == LANDMARK, _relations.c.relkind.in_(("r", "p"))),
        *(func.set_config(name, value, False) for name, value in pinned.items()),
    )
    return str(statement.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True})).encode("ascii")
