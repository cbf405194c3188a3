"""The ledger behind a fault: each stored event has one leaf, and every checkpoint is the tree of its time."""

from pathlib import Path

from sqlalchemy import Connection, text

from datastorage.ledger.checkpoint import open_checkpoint
from datastorage.ledger.keys import SigningKey
from datastorage.ledger.leaf import TAG_BYTES, Leaf
from datastorage.ledger.note import Note
from datastorage.ledger.tree import Frontier, leaf_hash
from tests.lab.stand import ORIGIN, wait_until

SEALED_SECONDS = 60

_UNSEALED = "SELECT count(*) FROM audit_unsealed"
_MISSING = """
    SELECT count(*) FROM audit_events AS event WHERE NOT EXISTS (SELECT FROM ledger_entries AS leaf
        WHERE leaf.event_id = event.event_id AND leaf.event_date = event.event_date)
"""
_DOUBLE = """
    SELECT count(*) FROM (SELECT FROM ledger_entries WHERE kind = 1
        GROUP BY event_id, event_date HAVING count(*) > 1) AS doubled
"""
_LEAVES = "SELECT kind, event_id, correlation_tag, digest FROM ledger_entries ORDER BY leaf_index"
_CHECKPOINTS = "SELECT tree_size, root, note FROM ledger_checkpoints"


def broken_ledger(connection: Connection, key_file: Path) -> str | None:
    """Say what is wrong with the ledger, when everything that waited has had its time."""

    def number(statement: str) -> int:
        return int(connection.execute(text(statement)).scalar_one())

    wait_until(lambda: number(_UNSEALED) == 0, SEALED_SECONDS, lambda: f"{number(_UNSEALED)} without a leaf")
    missing, double = number(_MISSING), number(_DOUBLE)
    if missing or double:
        return f"{missing} events without a leaf, {double} with two"
    return _broken_history(connection, key_file)


def _broken_history(connection: Connection, key_file: Path) -> str | None:
    """Build the tree leaf by leaf, and compare each checkpoint with what it was at its size."""
    key = SigningKey.of_pem(ORIGIN, key_file.read_bytes()).verifier
    checkpoints = {row.tree_size: row for row in connection.execute(text(_CHECKPOINTS))}
    signed, tree = 0, Frontier()
    for size, row in enumerate(connection.execute(text(_LEAVES)), 1):
        tag = row.correlation_tag.to_bytes(TAG_BYTES, signed=True)
        tree.append(leaf_hash(Leaf(row.kind, row.event_id, tag, row.digest).encoded()))
        checkpoint = checkpoints.pop(size, None)
        if checkpoint is None:
            continue
        if tree.root() != checkpoint.root:
            return f"the checkpoint of {size} leaves has another root"
        if checkpoint.note is not None:
            signed += 1
            if open_checkpoint(Note.of(checkpoint.note.encode()), [key]).root != checkpoint.root:
                return f"another root was signed for {size} leaves"
    if checkpoints:
        return f"checkpoints without leaves: {sorted(checkpoints)}"
    return None if signed else "no checkpoint was signed"
