"""Settings of one transaction: time limits and how it is planned."""

from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Text, bindparam, func, select


def set_local(
    connection: Connection,
    *,
    statement_timeout: timedelta | None = None,
    lock_timeout: timedelta | None = None,
    custom_plan: bool = False,
    parallel_workers: int | None = None,
) -> None:
    """``SET LOCAL`` for all of them in one round trip: session settings leak through a proxy's pool."""
    local: dict[str, str] = {}
    if statement_timeout is not None:
        local["statement_timeout"] = str(milliseconds(statement_timeout))
    if lock_timeout is not None:
        local["lock_timeout"] = str(milliseconds(lock_timeout))
    if custom_plan:
        local["plan_cache_mode"] = "force_custom_plan"
    if parallel_workers is not None:
        local["max_parallel_workers_per_gather"] = str(parallel_workers)
    if local:
        connection.execute(_set_config(tuple(local)), local)


@cache
def _set_config(names: tuple[str, ...]) -> Select[Any]:
    # Kept, so that SQLAlchemy does not build and compare the same statement for every transaction.
    return select(*(func.set_config(name, bindparam(name, type_=Text), True) for name in names))


def milliseconds(duration: timedelta) -> int:
    """Return a duration as PostgreSQL takes it; 0 would mean no limit at all."""
    return max(1, round(duration.total_seconds() * 1000))
