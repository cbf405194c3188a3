"""Settings of one transaction: time limits and how it is planned."""

from datetime import timedelta

from sqlalchemy import Connection, func, select


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
        connection.execute(select(*(func.set_config(name, value, True) for name, value in local.items())))


def milliseconds(duration: timedelta) -> int:
    """Return a duration as PostgreSQL takes it; 0 would mean no limit at all."""
    return max(1, round(duration.total_seconds() * 1000))
