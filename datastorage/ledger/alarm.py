"""The rollback alarm: what was published must still be in the tree (ledger.md 7.3)."""

import logging
from collections.abc import Sequence
from typing import Final

from datastorage.ledger.checkpoint import Checkpoint
from datastorage.ledger.history import History
from datastorage.ledger.targets import Published, Target, TargetFailedError
from datastorage.platform.clock import monotonic_seconds

logger = logging.getLogger(__name__)

SHORTER: Final = "Ledger history is shorter than what was published"
DIFFERS: Final = "Ledger history differs from what was published"
START_SECONDS: Final = 30.0
"""How long sealing waits at the start for a target that cannot be read."""
REPEATED_SECONDS: Final = 60.0


class RollbackAlarm:
    """Compares the tree with what targets know.

    Args:
        history: the tree.
        origin: of our log; what was published of another one says nothing about this one.
        targets: where checkpoints were sent.

    Attributes:
        previous: the newest checkpoint of another origin that a target has: a new log goes on from there.
    """

    def __init__(self, history: History, origin: str, targets: Sequence[Target]) -> None:
        self._history = history
        self._origin = origin
        self._targets = targets
        self._begun = monotonic_seconds()
        self._has_looked = not targets
        self._looked_at = float("-inf")
        self._logged_at = float("-inf")
        self.is_raised = False
        self.previous: Checkpoint | None = None

    def permits_sealing(self) -> bool:
        """Look at the start, until every target could be read or half a minute is over, and then if raised.

        Raises:
            DatabaseError: our own tree cannot be read.
        """
        now = monotonic_seconds()
        is_due = now - self._looked_at >= (REPEATED_SECONDS if self.is_raised else 1.0)
        if is_due and (self.is_raised or not self._has_looked):
            self.look()
        return not self.is_raised and (self._has_looked or now - self._begun >= START_SECONDS)

    def look(self) -> bool:
        """Look at every target, and return whether one contradicts the tree.

        Raises:
            DatabaseError: our own tree cannot be read.
        """
        self._looked_at = monotonic_seconds()
        found, are_readable = [], True
        for target in self._targets:
            try:
                known = target.known()
            except TargetFailedError:
                are_readable = False
            else:
                found += [known] if known is not None else []
        self._has_looked = self._has_looked or are_readable
        ours = [each for each in found if each.origin in {"", self._origin}]
        others = [
            Checkpoint(each.origin, each.size, each.root)
            for each in found
            if each.origin not in {"", self._origin} and each.root is not None
        ]
        self.previous = max(others, key=lambda each: each.size, default=None)
        contradictions = [each for each in ours if self._contradicts(each)]
        self.is_raised = bool(contradictions)
        if contradictions:
            self._log(max(contradictions, key=lambda each: each.size))
        return self.is_raised

    def _contradicts(self, known: Published) -> bool:
        if known.size > self._history.size():
            return True
        return known.root is not None and self._history.root_at(known.size) != known.root

    def _log(self, known: Published) -> None:
        now = monotonic_seconds()
        if now - self._logged_at < REPEATED_SECONDS:
            return
        self._logged_at = now
        size = self._history.size()
        message = SHORTER if known.size > size else DIFFERS
        logger.error(message, extra={"tree_size": size, "published_tree_size": known.size})
