"""Verify-chain: the stored events of a correlation id beside their leaves (ledger.md 5.3).

Clients know a chain of hashes. It is computed from the leaves when somebody asks, and stored nowhere.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, select

from datastorage.audit import evidence
from datastorage.ledger.appending import stored_leaf, tag_of
from datastorage.ledger.leaf import Kind, Leaf, correlation_tag
from datastorage.ledger.model import ChainVerified, Tampered
from datastorage.ledger.reader import archived_months, newest_note
from datastorage.ledger.tables import ledger_entries
from datastorage.ledger.tree import leaf_hash
from datastorage.platform.clock import Clock, monotonic_seconds
from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics

WAIT_SECONDS: Final = 2.0
"""Clients verify right after writing."""
POLL_SECONDS: Final = 0.1
EDITED: Final = "stored event differs from its sealed digest"
MISSING: Final = "event is missing and no archive statement covers it"
VALID: Final = "Hash chain verified successfully: no tampering detected"
FAILED: Final = "Hash chain verification FAILED: tampering detected"
NONE: Final = "No events found for correlation_id"

Key = tuple[UUID, date]
Stored = Mapping[Key, Row[Any]]


@dataclass(frozen=True, slots=True)
class ChainWanted:
    """What is asked about."""

    correlation_id: str


@dataclass(slots=True)
class _Walk:
    """What a walk along the leaves has come to."""

    verified: int = 0
    archived: int = 0
    missing: int = 0
    tampered: list[Tampered] = field(default_factory=list)
    sealed: set[Key] = field(default_factory=set)


class ChainVerifier:
    """Compares events with their leaves.

    Args:
        database: where both are.
        metrics: counts results.
        clock: when it was.
    """

    def __init__(self, database: Database, metrics: Metrics, clock: Clock) -> None:
        self._database = database
        self._metrics = metrics
        self._clock = clock

    def verify(self, wanted: ChainWanted) -> ChainVerified:
        """Return what is found; tampering is a finding, not an error.

        Raises:
            DatabaseError: the database cannot tell.
        """
        self._wait_for_leaves(wanted.correlation_id)
        found = self._database.read(lambda connection: self._compare(connection, wanted.correlation_id))
        self._metrics.ledger_verify_chain.labels("valid" if found.is_valid else "tampered").inc()
        return found

    def _wait_for_leaves(self, correlation_id: str) -> None:
        statement = evidence.some_wait(correlation_id)
        deadline = monotonic_seconds() + WAIT_SECONDS
        while self._database.read(lambda connection: connection.execute(statement).scalar_one()):
            if monotonic_seconds() + POLL_SECONDS > deadline:
                return
            time.sleep(POLL_SECONDS)

    def _compare(self, connection: Connection, correlation_id: str) -> ChainVerified:
        rows = connection.execute(evidence.digests_of_correlation(correlation_id))
        stored = {(row.event_id, row.event_date): row for row in rows}
        tag = correlation_tag(correlation_id)
        leaves = list(_leaves(connection, tag))
        elsewhere = _elsewhere(connection, [key for key, _ in leaves if key not in stored])
        # Another correlation id may have the same eight bytes.
        own = [
            (key, leaf)
            for key, leaf in leaves
            if key not in elsewhere or correlation_tag(elsewhere[key].correlation_id) != tag
        ]
        walk = _walked(own, {**elsewhere, **stored}, archived_months(connection))
        unsealed = len(stored.keys() - walk.sealed)
        newest = newest_note(connection)
        return ChainVerified(
            correlation_id=correlation_id,
            is_valid=not walk.tampered,
            total_events=len(stored),
            verified_events=walk.verified,
            skipped_null_hash=unsealed,
            tampered_events=walk.tampered,
            verification_time=_rfc3339(self._clock()),
            message=_message(walk, unsealed, is_known=bool(stored or own)),
            missing_events=walk.missing,
            unsealed_events=unsealed,
            archived_events=walk.archived,
            checkpoint=None if newest is None else newest.note,
        )


def _leaves(connection: Connection, tag: bytes) -> Iterator[tuple[Key, Leaf]]:
    columns = ledger_entries.c
    is_event = columns.kind == int(Kind.EVENT)
    statement = select(ledger_entries).where(columns.correlation_tag == tag_of(tag), is_event)
    for row in connection.execute(statement.order_by(columns.leaf_index)):
        yield (row.event_id, row.event_date), stored_leaf(row)


def _elsewhere(connection: Connection, keys: Collection[Key]) -> Stored:
    """Return the events with these keys, whatever their correlation id is now."""
    rows = connection.execute(evidence.digests_of_keys(keys)) if keys else ()
    return {(row.event_id, row.event_date): row for row in rows}


def _walked(leaves: Collection[tuple[Key, Leaf]], stored: Stored, archived: Collection[str]) -> _Walk:
    walk, previous = _Walk(), b""
    for key, leaf in leaves:
        walk.sealed.add(key)
        link = _link(previous, leaf)
        row = stored.get(key)
        if row is not None and row.digest == leaf.digest:
            walk.verified += 1
        elif row is None and f"{key[1]:%Y-%m}" in archived:
            walk.archived += 1
        else:
            walk.missing += row is None
            walk.tampered.append(_tampered(key, leaf, row, previous))
        previous = link
    return walk


def _tampered(key: Key, leaf: Leaf, row: Row[Any] | None, previous: bytes) -> Tampered:
    event_id, day = key
    if row is None:
        at, actual = datetime.combine(day, time_of_day(), UTC), ""
    else:
        at = row.event_timestamp
        actual = _link(previous, Leaf(leaf.kind, leaf.id, leaf.correlation_tag, row.digest)).hex()
    return Tampered(
        event_id=event_id,
        event_timestamp=_rfc3339(at),
        expected_hash=_link(previous, leaf).hex(),
        actual_hash=actual,
        previous_hash=previous.hex(),
        message=MISSING if row is None else EDITED,
    )


def _link(previous: bytes, leaf: Leaf) -> bytes:
    return sha256(previous + leaf_hash(leaf.encoded())).digest()


def _message(walk: _Walk, unsealed: int, *, is_known: bool) -> str:
    if not is_known:
        return NONE
    message = FAILED if walk.tampered else VALID
    if not unsealed:
        return message
    return f"{message} ({unsealed} events without hashes were excluded from verification)"


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
