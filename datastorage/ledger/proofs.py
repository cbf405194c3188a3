"""Proofs of events and statements: where the leaf is, and the path to a signed checkpoint (ledger.md 5.2)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, select

from datastorage.audit import evidence
from datastorage.errors import NotFound, QueueUnusable
from datastorage.ledger.appending import stored_leaf, tag_of
from datastorage.ledger.checkpoint import Checkpoint
from datastorage.ledger.key_files import LedgerKeys
from datastorage.ledger.known import KnownSubtrees, NewestNotes
from datastorage.ledger.leaf import Kind, correlation_tag, leaf_of
from datastorage.ledger.model import ReceiptProof, TextProof
from datastorage.ledger.note import Note
from datastorage.ledger.proof import Proof
from datastorage.ledger.reader import LedgerReader, hashes_of_tile
from datastorage.ledger.receipt import Receipt
from datastorage.ledger.refusals import RETRY_SOON_SECONDS, NotSealed, Unsigned
from datastorage.ledger.tables import ledger_entries, ledger_statements
from datastorage.ledger.tiles import subtrees_in
from datastorage.ledger.tree import inclusion_path, leaf_hash, root_of_path
from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics

BACKFILL: Final = 'event was stored outside the ledger; run "datastorage ledger backfill"'


@dataclass(frozen=True, slots=True)
class ProofWanted:
    """How a proof is asked for.

    Attributes:
        correlation_id: finds the leaf of an event that cannot be read any more.
        as_receipt: whether it shall be a receipt of COSE.
    """

    correlation_id: str | None
    as_receipt: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """A leaf and the way from it to a checkpoint."""

    index: int
    checkpoint: Checkpoint
    note: Note
    path: list[bytes]


class Proofs:
    """Finds and writes proofs.

    Args:
        database: where events and leaves are.
        reader: knows whether the ledger is on.
        keys: those that sign receipts.
        is_queued: tells of an id whether its event waits in the queue; raises ``QueueUnusable``.
        queue_seconds: when what is queued is looked at again.
        metrics: counts what is asked for.
    """

    def __init__(  # noqa: PLR0913 - an event may be in three places, and each is asked
        self,
        database: Database,
        reader: LedgerReader,
        keys: LedgerKeys,
        *,
        is_queued: Callable[[UUID], bool],
        queue_seconds: int,
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._reader = reader
        self._keys = keys
        self._is_queued = is_queued
        self._queue_seconds = queue_seconds
        self._metrics = metrics
        self._notes, self._subtrees = NewestNotes(), KnownSubtrees()

    def prove(self, event_id: UUID, wanted: ProofWanted) -> TextProof | ReceiptProof:
        """Return the proof of an event or a statement.

        Raises:
            NotFound: there is none, here or in the queue.
            NotSealed: it has no leaf.
            Unsigned: no signed checkpoint covers its leaf.
            DatabaseError: the database cannot tell.
        """
        count = self._metrics.ledger_proofs
        kind = "cose" if wanted.as_receipt else "tlog"
        try:
            proof = self._prove(event_id, wanted)
        except NotSealed:
            count.labels(kind, "not_sealed").inc()
            raise
        except Unsigned:
            count.labels(kind, "unsigned").inc()
            raise
        except NotFound:
            count.labels(kind, "not_found").inc()
            raise
        count.labels(kind, "ok").inc()
        return proof

    def _prove(self, event_id: UUID, wanted: ProofWanted) -> TextProof | ReceiptProof:
        self._reader.require_on()
        found = self._database.read(lambda connection: self._find(connection, event_id, wanted))
        if found is None:
            raise self._unknown(event_id)
        if not wanted.as_receipt:
            return TextProof(event_id, str(Proof(found.index, tuple(found.path), found.note)))
        if not self._keys.signing:
            raise Unsigned("the ledger has no key that signs receipts")
        place = found.index, found.checkpoint.size
        receipt = Receipt.signed(self._keys.signing[0], place, found.path, found.checkpoint.root)
        return ReceiptProof(receipt.encoded())

    def _find(self, connection: Connection, event_id: UUID, wanted: ProofWanted) -> _Found | None:
        """Return a leaf and its way, ``None`` when the database knows no such event or statement.

        Raises:
            NotSealed: it is known and has no leaf.
            Unsigned: no signed checkpoint covers it.
        """
        texts: Sequence[str] = connection.scalars(evidence.texts_of(event_id)).all()
        leaf = _leaf(connection, event_id, texts, wanted.correlation_id)
        if leaf is None:
            if connection.execute(evidence.waits(event_id)).scalar_one():
                raise NotSealed("event is not sealed yet", retry_after_seconds=RETRY_SOON_SECONDS)
            if texts:
                raise NotSealed(BACKFILL, retry_after_seconds=None)
            return None
        newest = self._notes.covering(connection, leaf.leaf_index)
        if newest is None:
            raise Unsigned("no signed checkpoint covers the event yet")
        note = Note.of(newest.note.encode())
        checkpoint = Checkpoint.of(note.text)
        return _Found(leaf.leaf_index, checkpoint, note, self._path(connection, leaf, checkpoint))

    def _path(self, connection: Connection, leaf: Row[Any], checkpoint: Checkpoint) -> list[bytes]:
        read = subtrees_in(hashes_of_tile(connection))
        path = inclusion_path(leaf.leaf_index, checkpoint.size, self._subtrees.or_read(read))
        hashed = leaf_hash(stored_leaf(leaf).encoded())
        if root_of_path(leaf.leaf_index, checkpoint.size, hashed, path) == checkpoint.root:
            return path
        # A database that was restored or has failed over may have lost leaves, and got others since.
        self._subtrees.forget()
        return inclusion_path(leaf.leaf_index, checkpoint.size, read)

    def _unknown(self, event_id: UUID) -> NotSealed | NotFound:
        """Return the error for an event that the database does not have."""
        try:
            if self._is_queued(event_id):
                return NotSealed("event waits in the queue", retry_after_seconds=self._queue_seconds)
        except QueueUnusable:
            return NotFound(f"no event or statement has the id {event_id}; the queue could not be asked")
        return NotFound(f"no event or statement has the id {event_id}")


def _leaf(
    connection: Connection, event_id: UUID, texts: Sequence[str], correlation_id: str | None
) -> Row[Any] | None:
    """Return the leaf of an event or a statement; of several the one that fits the text, or the newest."""
    entries, columns = ledger_entries.c, ledger_statements.c
    digest: bytes | None = None
    if texts:
        text = leaf_of(texts[0].encode())
        tag, digest = text.correlation_tag, text.digest
    elif correlation_id is not None:
        tag = correlation_tag(correlation_id)
    else:
        tag = None
    rows: Sequence[Row[Any]] = ()
    if tag is not None:
        same = (
            entries.correlation_tag == tag_of(tag),
            entries.event_id == event_id,
            entries.kind == int(Kind.EVENT),
        )
        rows = connection.execute(select(ledger_entries).where(*same).order_by(entries.leaf_index)).all()
    if not rows and not texts:
        stated = select(columns.leaf_index).where(columns.statement_id == event_id).scalar_subquery()
        rows = connection.execute(select(ledger_entries).where(entries.leaf_index == stated)).all()
    return next(reversed([row for row in rows if row.digest == digest] or rows), None)
