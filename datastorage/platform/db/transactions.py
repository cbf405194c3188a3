"""How a transaction begins: with everything that holds for it, in one round trip.

The driver would begin by itself at the first statement, in a round trip of its own, and settings would be
another. ``SET LOCAL``, because settings of a session leak through a proxy's pool; it takes no parameters,
and the numbers are ours.
"""

from datetime import timedelta
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import Connection, Select, Text, bindparam, func, select

_SET_STATEMENT_TIMEOUT: Select[Any] = select(
    func.set_config("statement_timeout", bindparam("milliseconds", type_=Text), True)
)


class Access(Enum):
    """What a transaction is for."""

    READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    # Not READ WRITE: a server that wants no writes has to be able to say so.
    WRITE = "BEGIN"


class LocalSettings(NamedTuple):
    """Settings of one transaction; what is absent is as the session has it.

    ``custom_plan`` plans with the actual parameters every time, otherwise PostgreSQL chooses;
    ``parallel_workers`` are the most for one step of a plan.
    """

    statement_timeout: timedelta | None = None
    lock_timeout: timedelta | None = None
    custom_plan: bool = False
    parallel_workers: int | None = None


def begin(driver: psycopg.Connection[Any], access: Access, local: LocalSettings) -> None:
    """Begin a transaction on a connection in autocommit mode.

    Raises:
        psycopg.Error: there is no transaction; the connection is of no further use.
    """
    # Several statements at once cannot be prepared.
    driver.execute(_beginning(access, local), prepare=False)


@lru_cache(maxsize=64)
def _beginning(access: Access, local: LocalSettings) -> bytes:
    # Always: what the session has is for single statements that suit every value.
    settings: dict[str, object] = {"plan_cache_mode": "force_custom_plan" if local.custom_plan else "auto"}
    if local.statement_timeout is not None:
        settings["statement_timeout"] = milliseconds(local.statement_timeout)
    if local.lock_timeout is not None:
        settings["lock_timeout"] = milliseconds(local.lock_timeout)
    if local.parallel_workers is not None:
        settings["max_parallel_workers_per_gather"] = int(local.parallel_workers)
    sets = (f"SET LOCAL {name} = {value}" for name, value in settings.items())
    return "; ".join([access.value, *sets]).encode("ascii")


def limit_next_statement(connection: Connection, timeout: timedelta) -> None:
    """Change the statement timeout of the transaction that is under way."""
    connection.execute(_SET_STATEMENT_TIMEOUT, {"milliseconds": str(milliseconds(timeout))})


def milliseconds(duration: timedelta) -> int:
    """Return a duration as PostgreSQL takes it; 0 would mean no limit at all."""
    return max(1, round(duration.total_seconds() * 1000))
