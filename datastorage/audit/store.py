"""``audit_events`` in PostgreSQL: one public method is one transaction."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from msgspec.structs import asdict
from sqlalchemy import Connection

from datastorage.audit import queries
from datastorage.audit.event import AuditEvent
from datastorage.audit.model import AuditFilter, Written
from datastorage.platform.db.database import Database
from datastorage.platform.db.keyset import Position
from datastorage.platform.db.retries import IDENTIFIED
from datastorage.platform.db.sent_rows import as_parameters
from datastorage.settings import AuditSettings, DatabaseSettings

EXPORT_FETCH_ROWS = 500
"""Rows the server-side cursor hands over at once: bounds the memory of an export."""
SHORT_PAGE_ROWS = 200
"""A longer page shows a long list: its count, a statement of its own, may use parallel workers."""

Key = tuple[UUID, date]
ParentDates = dict[UUID, dict[date, None]]
"""The dates under which each parent exists; a dict of dates keeps them in order and unique."""


class BatchRefused(Exception):
    """Raised inside the transaction of a batch to roll it back; carries what was wrong with which event."""

    def __init__(self, outcomes: list[Written]) -> None:
        super().__init__()
        self.outcomes = outcomes


class AuditStore:
    """Appends and finds audit events.

    Args:
        database: where they are.
        audit: time limits of single and batch writes.
        settings: the lock timeout of writes.
    """

    def __init__(self, database: Database, audit: AuditSettings, settings: DatabaseSettings) -> None:
        self._database = database
        self._audit = audit
        self._lock_timeout = settings.write_lock_timeout

    def append(self, events: Sequence[AuditEvent]) -> list[Written]:
        """Write independent events in one transaction; what is wrong with one does not stop the others.

        Raises:
            DatabaseError: none of them is stored.
        """

        def append_independently(connection: Connection) -> list[Written]:
            return _append(connection, events, _parent_dates(connection, events))

        return self._write(append_independently, self._audit.write_timeout)

    def append_orphan(self, event: AuditEvent) -> list[Written]:
        """Write one event whose parent nobody knows; it keeps the parent's id, without its date.

        Only for an event that was acknowledged before its parent could be looked up.

        Raises:
            DatabaseError: it is not stored.
        """
        assert event.parent_event_id is not None
        unknown: ParentDates = {event.parent_event_id: {}}
        return self._write(
            lambda connection: _append(connection, [event], unknown), self._audit.write_timeout
        )

    def append_all(self, events: Sequence[AuditEvent]) -> list[Written]:
        """Write all events or none: a conflict or a missing parent rolls back.

        Raises:
            DatabaseError: none of them is stored.
        """

        def append_or_roll_back(connection: Connection) -> list[Written]:
            parents = _parent_dates(connection, events)
            # Before the insert: an event whose parent is in the batch but cannot be stored would break the
            # foreign key, which does not say whose parent is at fault.
            if not all(_has_parent(event, parents) for event in events):
                raise BatchRefused([_rolled_back(event, parents) for event in events])
            outcomes = _append(connection, events, parents)
            if Written.CONFLICT in outcomes:
                raise BatchRefused(outcomes)
            return outcomes

        try:
            return self._write(append_or_roll_back, self._audit.batch_timeout)
        except BatchRefused as refused:
            return refused.outcomes

    def _write(self, work: Any, timeout: timedelta) -> list[Written]:
        # An event that is stored already is compared and not stored again.
        written: list[Written] = self._database.write(
            work, timeout=timeout, lock_timeout=self._lock_timeout, retries=IDENTIFIED
        )
        return written

    def find_page(
        self, wanted: AuditFilter, *, limit: int, offset: int, counted: bool
    ) -> tuple[list[str], int | None]:
        """Return up to ``limit`` events as JSON and, if ``counted``, how many match; both from one snapshot.

        Raises:
            DatabaseError: classified.
        """
        is_short_first = not offset and wanted.after is None and limit <= SHORT_PAGE_ROWS
        if wanted.needs_values or (counted and not is_short_first):
            return self._find_in_snapshot(wanted, limit=limit, offset=offset, counted=counted)
        if wanted.is_by_correlation and counted:
            # Rarely more than a page, and the count costs even where it is never made: PostgreSQL prepares
            # to look into every partition twice.
            texts, _ = self._find_at_once(wanted, limit=limit, offset=offset, counted=False)
            if len(texts) < limit:
                return texts, len(texts)
        return self._find_at_once(wanted, limit=limit, offset=offset, counted=counted)

    def _find_at_once(
        self, wanted: AuditFilter, *, limit: int, offset: int, counted: bool
    ) -> tuple[list[str], int | None]:
        statement, values = queries.rendered_page(wanted, limit=limit, offset=offset, counted=counted)
        if wanted.is_planned_alike:
            rows = self._database.query(statement, values)
        else:
            rows = self._database.read(lambda connection: statement.rows(connection, values))
        texts = [row[0] for row in rows]
        if not counted:
            return texts, None
        return texts, rows[-1][1] if len(rows) == limit else len(rows)

    def _find_in_snapshot(
        self, wanted: AuditFilter, *, limit: int, offset: int, counted: bool
    ) -> tuple[list[str], int | None]:
        def work(connection: Connection) -> tuple[list[str], int | None]:
            total = connection.execute(queries.count(wanted)).scalar_one() if counted else None
            if total is not None and offset >= total:
                return [], total
            rows = connection.execute(queries.page(wanted, limit=limit, offset=offset)).scalars()
            return list(rows), total

        return self._database.read(work, custom_plan=wanted.needs_values)

    def find(self, event_id: UUID) -> str | None:
        """Return one event as JSON or ``None``.

        Raises:
            DatabaseError: classified.
        """
        rows = self._database.query(queries.ONE, {"event_id": event_id})
        return rows[0][0] if rows else None

    def stream(
        self, wanted: AuditFilter, *, limit: int
    ) -> tuple[Position[UUID] | None, Iterator[Sequence[str]]]:
        """Start reading up to ``limit`` events through a server-side cursor.

        Returns:
            The position of the last row to be sent if further rows remain, else ``None``; and the
            events as JSON, some hundred at a time, read while they are consumed, from the snapshot
            that this was decided on.

        Raises:
            DatabaseError: classified, also while iterating.
        """

        def start() -> tuple[Position[UUID] | None, Iterator[Sequence[str]]]:
            rows = self._stream(wanted, limit)
            return next(rows), rows

        return self._database.start(start)

    def _stream(self, wanted: AuditFilter, limit: int) -> Iterator[Any]:
        """Yield the end position first, then the events: one generator owns the transaction."""
        with self._database.snapshot(custom_plan=wanted.needs_values) as connection:
            tail = connection.execute(queries.keys(wanted, limit=2, offset=limit - 1)).all()
            yield Position(*tail[0]) if len(tail) > 1 else None
            cursor = connection.execution_options(yield_per=EXPORT_FETCH_ROWS)
            # Closed in any case: a server-side cursor left behind is reported when it is collected.
            with cursor.execute(queries.page(wanted, limit=limit)) as result:
                yield from result.scalars().partitions()


def _append(connection: Connection, events: Sequence[AuditEvent], parents: ParentDates) -> list[Written]:
    storable = {_key(event): event for event in reversed(events) if _has_parent(event, parents)}
    created: set[tuple[Any, ...]] = set()
    if storable:
        # In key order: two transactions that share ids then wait for each other instead of deadlocking.
        # By number: ids compare each other in Python.
        ordered = sorted(storable.values(), key=lambda each: (each.event_id.int, each.event_date))
        created = set(queries.INSERT_SENT_ROWS.rows(connection, _sent(ordered, parents)))
    outcomes: list[Written | None] = []
    for event in events:
        if not _has_parent(event, parents):
            outcomes.append(Written.PARENT_MISSING)
        elif _key(event) in created and storable[_key(event)] is event:
            outcomes.append(Written.CREATED)
        else:
            outcomes.append(None)
    return _compare_known(connection, events, outcomes, parents)


def _compare_known(
    connection: Connection,
    events: Sequence[AuditEvent],
    outcomes: list[Written | None],
    parents: ParentDates,
) -> list[Written]:
    """Judge the events whose id was already there: the same content again, or another."""
    judged: list[Written] = []
    for event, outcome in zip(events, outcomes, strict=True):
        if outcome is None:
            rows = queries.IDENTICAL_ROWS.rows(connection, _sent([event], parents))
            outcome = Written.IDENTICAL if rows else Written.CONFLICT  # noqa: PLW2901 - the verdict
        judged.append(outcome)
    return judged


def _key(event: AuditEvent) -> Key:
    return event.event_id, event.event_date


def _rolled_back(event: AuditEvent, parents: ParentDates) -> Written:
    return Written.ROLLED_BACK if _has_parent(event, parents) else Written.PARENT_MISSING


def _has_parent(event: AuditEvent, parents: ParentDates) -> bool:
    return event.parent_event_id is None or event.parent_event_id in parents


def _parent_dates(connection: Connection, events: Sequence[AuditEvent]) -> ParentDates:
    """Return the dates under which each wanted parent exists, stored or among ``events``."""
    wanted = {event.parent_event_id for event in events if event.parent_event_id is not None}
    found: ParentDates = {}
    if not wanted:
        return found
    for parent_id, parent_date in connection.execute(queries.PARENT_DATES, {"parent_ids": list(wanted)}):
        found.setdefault(parent_id, {})[parent_date] = None
    for event in events:
        if event.has_client_id and event.event_id in wanted and event.event_id != event.parent_event_id:
            found.setdefault(event.event_id, {})[event.event_date] = None
    return found


def _parent_date(event: AuditEvent, parents: ParentDates) -> date | None:
    if event.parent_event_id is None:
        return None
    dates = parents[event.parent_event_id]
    return event.parent_event_date if event.parent_event_date in dates else max(dates, default=None)


def _sent(events: Sequence[AuditEvent], parents: ParentDates) -> dict[str, str]:
    """Return the parameters of the two statements on sent rows."""
    return as_parameters([_as_sent(event, parents) for event in events])


def _as_sent(event: AuditEvent, parents: ParentDates) -> Any:
    """Return the row of an event, with the date under which its parent was found."""
    if event.parent_event_id is None and event.parent_event_date is None:
        return event
    return asdict(event) | {"parent_event_date": _parent_date(event, parents)}
