"""Publication: the newest signed checkpoint goes to every target, now and then (ledger.md 7.2)."""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from datastorage.ledger.alarm import RollbackAlarm
from datastorage.ledger.checkpoint import Checkpoint
from datastorage.ledger.encoding import to_base64
from datastorage.ledger.history import History
from datastorage.ledger.keys import VerifierKey
from datastorage.ledger.note import Note
from datastorage.ledger.targets import (
    FileTarget,
    HttpsTarget,
    Publication,
    Target,
    TargetFailedError,
    WitnessTarget,
)
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics import Metrics
from datastorage.settings import LedgerSettings

logger = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS: Final = 60.0


def targets_of(settings: LedgerSettings) -> list[Target]:
    """Return the places that checkpoints are sent to.

    Raises:
        MalformedEvidence: the vkey of a witness is none.
    """
    targets: list[Target] = []
    for each in settings.publish:
        if each.startswith("file:"):
            targets.append(FileTarget(Path(each.removeprefix("file:"))))
        else:
            targets.append(HttpsTarget(each, settings.publish_token_file))
    for each in settings.witnesses:
        vkey, _, url = each.partition(" ")
        targets.append(WitnessTarget(VerifierKey.of(vkey), url.strip()))
    return targets


class _Delivery:
    """One target, and when it is tried next."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.sent_size = 0
        self.due_at = float("-inf")
        self._failures = 0

    def failed(self, now: float) -> None:
        """Try again after 1, 2, 4, ... 60 seconds."""
        self.due_at = now + min(2.0**self._failures, LONGEST_PAUSE_SECONDS)
        self._failures += 1

    def succeeded(self, size: int) -> None:
        """Wait for a larger tree."""
        self.sent_size, self._failures, self.due_at = size, 0, float("-inf")


class Deliveries:
    """Sends checkpoints to targets, each at its own pace.

    Args:
        history: proofs for witnesses, and where cosignatures are kept.
        targets: where checkpoints go.
        metrics: counts deliveries.
    """

    def __init__(self, history: History, targets: Sequence[Target], metrics: Metrics) -> None:
        self._history = history
        self._deliveries = [_Delivery(each) for each in targets]
        self._metrics = metrics

    def deliver(self, newest: str) -> dict[str, str]:
        """Send a note to every target that is due and does not have it; return what came of it.

        Raises:
            DatabaseError: what witnesses want to know cannot be read.
        """
        checkpoint = Checkpoint.of(Note.of(newest.encode()).text)
        now, outcomes = monotonic_seconds(), {}
        for number, delivery in enumerate(self._deliveries, 1):
            if delivery.sent_size < checkpoint.size and delivery.due_at <= now:
                outcomes[f"{delivery.target.kind} {number}"] = self._send(delivery, checkpoint, newest)
        return outcomes

    def _send(self, delivery: _Delivery, checkpoint: Checkpoint, note: str) -> str:
        kind = delivery.target.kind
        proof = partial(self._history.consistency, new=checkpoint.size)
        try:
            cosignatures = delivery.target.send(Publication(checkpoint, note, proof))
        except TargetFailedError as error:
            delivery.failed(monotonic_seconds())
            self._metrics.ledger_publish.labels(kind, "failure").inc()
            logger.warning("Ledger publication failed", extra={"kind": kind, "error": str(error)})
            return str(error)
        if cosignatures:
            self._history.add_cosignatures(checkpoint.size, cosignatures)
        delivery.succeeded(checkpoint.size)
        self._metrics.ledger_publish.labels(kind, "success").inc()
        sizes = [each.sent_size for each in self._deliveries if each.target.kind == kind]
        self._metrics.ledger_published_tree_size.labels(kind).set(min(sizes))
        return "ok"


class Publisher:
    """One look per ``run_once``, for a ``Loop``: marks what is due, and sends it.

    Args:
        history: the tree and its checkpoints.
        deliveries: sends them.
        alarm: keeps a history back that is not the published one.
        interval: between two publications.
        is_sealer: whether this process seals for its pod.
    """

    def __init__(
        self,
        history: History,
        deliveries: Deliveries,
        alarm: RollbackAlarm,
        *,
        interval: timedelta,
        is_sealer: Callable[[], bool],
    ) -> None:
        self._history = history
        self._deliveries = deliveries
        self._alarm = alarm
        self._interval = interval
        self._is_sealer = is_sealer
        self._has_published = False

    def run_once(self) -> None:
        """Mark the newest signed checkpoint when one is due, and send what targets do not have.

        Raises:
            DatabaseError: nothing was marked, and what was is sent in a later round.
        """
        if not self._is_sealer() or self._alarm.is_raised:
            return
        if self._history.is_publication_due(self._interval):
            if self._alarm.look():
                return
            self._announce(self._history.mark_published(self._interval))
        # What another pod has marked it sends itself.
        newest = self._history.published_note() if self._has_published else None
        if newest is not None:
            self._deliveries.deliver(newest)

    def _announce(self, note: str | None) -> None:
        if note is not None:
            self._has_published = True
            checkpoint = Checkpoint.of(Note.of(note.encode()).text)
            extra = {"tree_size": checkpoint.size, "root": to_base64(checkpoint.root), "note": note}
            logger.info("Ledger checkpoint", extra=extra)
