"""Where the ledger stands, in one document (console.md 2.2)."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from datastorage.ledger.checkpoint import Checkpoint
from datastorage.ledger.encoding import to_base64
from datastorage.ledger.note import Note
from datastorage.ledger.publication import targets_of
from datastorage.ledger.reader import MOST_PUBLISHED
from datastorage.ledger.statements import Type, vkeys_in_use
from datastorage.ledger.store import LedgerStore
from datastorage.ledger.tables import ledger_checkpoints, ledger_statements
from datastorage.ledger.targets import Target, TargetFailedError, WitnessTarget
from datastorage.platform.db.database import Database
from datastorage.settings import LedgerSettings

MOST_CHECKPOINTS: Final = 20


def status_of(database: Database, store: LedgerStore, settings: LedgerSettings) -> dict[str, Any]:
    """Return the document.

    Raises:
        DatabaseError: the database cannot tell.
    """
    waiting = store.waiting()
    newest, shown, vkeys = database.read(_read)
    origin = settings.origin or (vkeys[-1].partition("+")[0] if vkeys else None)
    every = targets_of(settings)
    witnesses = [each for each in every if isinstance(each, WitnessTarget)]
    targets = [each for each in every if not isinstance(each, WitnessTarget)]
    if not settings.enabled:
        state = "off"
    else:
        state = "ok" if newest is not None and newest.note is not None else "unsigned"
    return {
        "origin": origin,
        "state": state,
        "tree_size": 0 if newest is None else newest.tree_size,
        "sealed_at": None if newest is None else _time(newest.sealed_at),
        "unsealed": waiting.rows,
        "oldest_unsealed_seconds": waiting.seconds,
        "vkeys": vkeys,
        "checkpoints": [_checkpoint(row) for row in shown[:MOST_CHECKPOINTS]],
        "witnesses": [_witness(target.key.name, newest, shown) for target in witnesses],
        "targets": [_target(target, shown) for target in targets],
        "audit": None,
    }


def _read(connection: Connection) -> tuple[Row[Any] | None, list[Row[Any]], list[str]]:
    columns = ledger_checkpoints.c
    newest_first = select(ledger_checkpoints).order_by(columns.tree_size.desc())
    newest = connection.execute(newest_first.limit(1)).one_or_none()
    published = newest_first.where(columns.published_at.is_not(None))
    shown = connection.execute(published.limit(MOST_PUBLISHED)).all()
    statements = ledger_statements.c
    recorded = select(statements.statement).where(statements.type == Type.KEY)
    vkeys = vkeys_in_use(connection.scalars(recorded.order_by(statements.leaf_index)))
    return newest, list(shown), vkeys


def _witness(name: str, newest: Row[Any] | None, published: Sequence[Row[Any]]) -> dict[str, Any]:
    """Return the newest checkpoint that a witness has signed, as far as one looks back."""
    row = next((each for each in published if name in _checkpoint(each)["cosigned_by"]), None)
    if row is None or newest is None:
        return {"name": name, "tree_size": None, "sealed_at": None, "behind": None}
    return {
        "name": name,
        "tree_size": row.tree_size,
        "sealed_at": _time(row.sealed_at),
        "behind": newest.tree_size - row.tree_size,
    }


def _target(target: Target, published: Sequence[Row[Any]]) -> dict[str, Any]:
    """Return the newest size that a target has said it knows, else the newest that was sent to all."""
    try:
        known = target.known()
    except TargetFailedError:
        known = None
    sent = published[0].tree_size if published else None
    return {"kind": target.kind, "tree_size": sent if known is None else known.size}


def _checkpoint(row: Row[Any]) -> dict[str, Any]:
    note = None if row.note is None else Note.of(row.note.encode())
    origin = None if note is None else Checkpoint.of(note.text).origin
    cosigners = [] if note is None else [line.name for line in note.signatures if line.name != origin]
    return {
        "tree_size": row.tree_size,
        "root": to_base64(row.root),
        "sealed_at": _time(row.sealed_at),
        "published_at": None if row.published_at is None else _time(row.published_at),
        "cosigned_by": cosigners,
    }


def _time(at: Any) -> str:
    return str(at.isoformat()).replace("+00:00", "Z")
