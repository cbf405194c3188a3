"""How a transaction begins: BEGIN and its settings in one round trip.

The driver would send BEGIN before the first statement, in a round trip of its own. ``SET LOCAL``, because
settings of a session leak through a pooler; it takes no parameters, and the numbers are ours.
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
    # Not READ WRITE: default_transaction_read_only has to be able to refuse.
    WRITE = "BEGIN"


class LocalSettings(NamedTuple):
    """Settings of one transaction; those of the session hold where one is absent.

    ``custom_plan`` plans with the actual parameters, else PostgreSQL chooses; ``parallel_workers`` limits one
    step of a plan.
    """

    statement_timeout: timedelta | None = None
    lock_timeout: timedelta | None = None
    custom_plan: bool = False
    parallel_workers: int | None = None


def begin(driver: psycopg.Connection[Any], access: Access, local: LocalSettings) -> None:
    """Begin a transaction on a connection in autocommit mode.

    Raises:
        psycopg.Error: there is no transaction, and the connection must not be used again.
    """
    # Several statements in one message cannot be prepared.
    driver.execute(_beginning(access, local), prepare=False)


@lru_cache(maxsize=64)
def _beginning(access: Access, local: LocalSettings) -> bytes:
    # Always set: the session's own mode is for statements outside transactions.
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
    """Return a duration as PostgreSQL takes it, at least 1: 0 would mean no limit."""
    return max(1, round(duration.total_seconds() * 1000))
