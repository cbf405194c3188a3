"""Running a transaction again that PostgreSQL chose as the victim of a deadlock or a conflict."""

import random
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from datastorage.errors import Deadlock, TransactionConflict

T = TypeVar("T")

Pauses = tuple[tuple[float, float], ...]


class Retries(NamedTuple):
    """When a transaction may run again."""

    pauses: Pauses
    """For each further attempt after a conflict: bounds of the pause before it, in seconds."""
    after_commit: bool = False
    """Also when the answer to its commit was lost, because it recognises what it wrote before."""


SHORT_PAUSES = Retries(((0.005, 0.015), (0.025, 0.075)))
IDENTIFIED = SHORT_PAUSES._replace(after_commit=True)
LONG_PAUSES = Retries(((0.050, 0.200), (0.050, 0.200)))
READ_PAUSES = Retries(((0.050, 0.200),))
"""Readers do not block each other: a second conflict comes from a migration, and the client is told."""


def with_retries(attempt: Callable[[], T], pauses: Pauses) -> T:
    """Return what the first attempt that succeeds returns.

    Raises:
        DatabaseError: of the last attempt; a lock that was not granted in time is waited for only once.
    """
    for pause in (*pauses, None):
        try:
            return attempt()
        except (Deadlock, TransactionConflict) as error:
            if pause is None or error.reason == "lock_timeout":
                raise
            # The pause is what helps: transactions that collided must not meet again at once.
            time.sleep(random.uniform(*pause))  # noqa: S311 - jitter, not a secret
    raise AssertionError("the last attempt either returns or raises")
