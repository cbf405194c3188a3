"""Giving up every connection of a process when one has ended.

A restarted server, a reloaded pooler, a demoted primary: what ended one connection has ended the others too,
and each would fail a request before it was replaced.
"""

import logging
from collections.abc import Callable
from threading import Lock

from datastorage.platform.db.faults import Ending

logger = logging.getLogger(__name__)

GENERATION = "generation"
"""In the ``info`` of a connection: how many renewals there had been when it was opened."""


class Renewals:
    """Counts the renewals of one process, and tells ``on_renewal`` the reason of each."""

    def __init__(self, on_renewal: Callable[[Ending], object]) -> None:
        self._on_renewal = on_renewal
        self._lock = Lock()
        self.generation = 0

    def renew(self, generation: int, reason: Ending) -> None:
        """Give up every connection opened so far, unless the one of ``generation`` that ended was already."""
        with self._lock:
            if generation != self.generation:
                return
            self.generation += 1
        self._on_renewal(reason)
        logger.info("Database connections renewed", extra={"reason": reason})
