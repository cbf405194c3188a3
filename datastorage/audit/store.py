"""Writes to ``audit_events``: one public method is one transaction."""

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec.structs import asdict
from sqlalchemy import Connection

from datastorage.audit import queries
from datastorage.audit.event import AuditEvent
from datastorage.audit.identity import chosen_at
from datastorage.audit.inserts import IDENTICAL_ROWS, UNSEEN_ROWS, Inserts
from datastorage.audit.model import Written
from datastorage.platform.db.database import Database
from datastorage.platform.db.retries import IDENTIFIED
from datastorage.platform.db.sent_rows import as_parameters
from datastorage.settings import AuditSettings, LimitsSettings

_ONE_DAY = timedelta(days=1)

ParentDates = dict[UUID | None, dict[date, None]]
"""The dates under which each parent exists; a dict of dates keeps them in order and unique."""


class BatchRefused(Exception):
    """Raised inside the transaction of a batch to roll it back; carries what was wrong with which event."""

    def __init__(self, outcomes: list[Written]) -> None:
        super().__init__()
        self.outcomes = outcomes


class AuditStore:
    """Appends audit events; every method raises ``DatabaseError`` when none of its events is stored.

    Args:
        database: where they are stored.
        audit: how long a write may take.
        limits: how far the date of an event may lie from the time at which it was accepted.
        lock_timeout: longest wait for a lock.
        inserts: stores rows; those of a ledger put each into it as well.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditSettings,
        limits: LimitsSettings,
        *,
        lock_timeout: timedelta,
        inserts: Inserts,
    ) -> None:
        self._database = database
        self._audit = audit
        self._limits = limits
        self._lock_timeout = lock_timeout
        self._inserts = inserts

    def append(self, events: Sequence[AuditEvent]) -> list[Written]:
        """Write independent events; what is wrong with one does not stop the others."""
        return self._write(
            lambda connection: self._append(connection, events, _parent_dates(connection, events)),
            self._audit.write_timeout,
        )

    def append_orphan(self, event: AuditEvent) -> list[Written]:
        """Write one event whose parent is unknown; it keeps the parent's id, without its date.

        Only for an event that was acknowledged before its parent could be looked up.
        """
        unknown: ParentDates = {event.parent_event_id: {}}
        return self._write(
            lambda connection: self._append(connection, [event], unknown), self._audit.write_timeout
        )

    def append_all(self, events: Sequence[AuditEvent]) -> list[Written]:
        """Write all events or none: a conflict or a missing parent rolls back."""

        def append_or_roll_back(connection: Connection) -> list[Written]:
            parents = _parent_dates(connection, events)
            # Before the insert: an event whose parent is in the batch but cannot be stored would break the
            # foreign key, which does not say whose parent is at fault.
            have_parents = [_has_parent(event, parents) for event in events]
            if not all(have_parents):
                raise BatchRefused(
                    [Written.ROLLED_BACK if each else Written.PARENT_MISSING for each in have_parents]
                )
            _require_one_date_per_id(events)
            outcomes = self._append(connection, events, parents)
            if Written.CONFLICT in outcomes:
                raise BatchRefused(outcomes)
            return outcomes

        try:
            return self._write(append_or_roll_back, self._audit.batch_timeout)
        except BatchRefused as refused:
            return refused.outcomes

    def _write(self, work: Callable[[Connection], list[Written]], timeout: timedelta) -> list[Written]:
        # An event that is stored already is compared and not stored again.
        return self._database.write(
            work, timeout=timeout, lock_timeout=self._lock_timeout, retries=IDENTIFIED
        )

    def _append(
        self, connection: Connection, events: Sequence[AuditEvent], parents: ParentDates
    ) -> list[Written]:
        known = self._known_ids(connection, events)
        # Of events that share a key the first one counts; the others are compared with it.
        storable = {
            _key(event): event
            for event in reversed(events)
            if _has_parent(event, parents) and event.event_id not in known
        }
        created: set[tuple[Any, ...]] = set()
        if storable:
            # In key order: two transactions that share ids then wait for each other instead of deadlocking.
            # By number: ids compare each other in Python.
            ordered = sorted(storable.values(), key=lambda each: (each.event_id.int, each.event_date))
            sent = as_parameters([_as_sent(each, parents) for each in ordered])
            bring_ids = any(each.has_client_id for each in ordered)
            insert = self._inserts.rows_and_ids if bring_ids else self._inserts.rows
            created = set(insert.rows(connection, sent))

        def outcome(event: AuditEvent) -> Written:
            if not _has_parent(event, parents):
                return Written.PARENT_MISSING
            if _key(event) in created and storable[_key(event)] is event:
                return Written.CREATED
            return self._compared(connection, _as_sent(event, parents))

        return [outcome(event) for event in events]

    def _compared(self, connection: Connection, row: Any) -> Written:
        """Return what an event that was not inserted is beside the one that has its id.

        Raises:
            psycopg.Error: that one lies in a month that is missing.
        """
        sent = as_parameters([row])
        if IDENTICAL_ROWS.rows(connection, sent):
            return Written.IDENTICAL
        # Its id may be taken for this very date, and no event be there: the month is detached, which
        # PostgreSQL says when it shall insert one, or the event was purged.
        if UNSEEN_ROWS.rows(connection, sent) and self._inserts.rows.rows(connection, sent):
            return Written.CREATED
        return Written.CONFLICT

    def _known_ids(self, connection: Connection, events: Sequence[AuditEvent]) -> frozenset[UUID]:
        """Return the sent ids that the service chose for stored events: they have no row of their own."""
        sent = {event.event_id for event in events if event.has_client_id}
        chosen = {event_id: at for event_id in sent if (at := chosen_at(event_id)) is not None}
        if not chosen:
            return frozenset()
        first, last = self._dates_around(chosen.values())
        return frozenset(connection.scalars(queries.stored_ids(chosen, first, last)))

    def _dates_around(self, accepted_at: Collection[datetime]) -> tuple[date | None, date | None]:
        """Return the first and the last date of events accepted then; a limit that is off bounds nothing."""
        age, ahead = self._limits.max_event_age, self._limits.max_event_ahead
        first = None if age is None else (min(accepted_at) - age - _ONE_DAY).date()
        last = None if ahead is None else (max(accepted_at) + ahead + _ONE_DAY).date()
        return first, last


def _require_one_date_per_id(events: Sequence[AuditEvent]) -> None:
    """Refuse events of different dates under one id, before one is chosen that others have as parent.

    Raises:
        BatchRefused: there are such events.
    """
    dates: dict[UUID, date] = {}
    are_alone = [dates.setdefault(event.event_id, event.event_date) == event.event_date for event in events]
    if not all(are_alone):
        raise BatchRefused([Written.ROLLED_BACK if each else Written.CONFLICT for each in are_alone])


def _key(event: AuditEvent) -> tuple[UUID, date]:
    return event.event_id, event.event_date


def _has_parent(event: AuditEvent, parents: ParentDates) -> bool:
    return event.parent_event_id is None or event.parent_event_id in parents


def _parent_dates(connection: Connection, events: Sequence[AuditEvent]) -> ParentDates:
    """Return the dates under which each wanted parent is stored, or else its date in ``events``."""
    wanted = {event.parent_event_id for event in events if event.parent_event_id is not None}
    found: ParentDates = {}
    if not wanted:
        return found
    for parent_id, parent_date in connection.execute(queries.PARENT_DATES, {"parent_ids": list(wanted)}):
        found.setdefault(parent_id, {})[parent_date] = None
    for event in events:
        # One that is stored already is not stored under another date.
        is_new = event.event_id in wanted and event.event_id not in found
        if is_new and event.has_client_id and event.event_id != event.parent_event_id:
            found[event.event_id] = {event.event_date: None}
    return found


def _as_sent(event: AuditEvent, parents: ParentDates) -> Any:
    """Return the row of an event, with the date under which its parent was found."""
    if event.parent_event_id is None:
        return event if event.parent_event_date is None else asdict(event) | {"parent_event_date": None}
    dates = parents[event.parent_event_id]
    hint = event.parent_event_date
    return asdict(event) | {"parent_event_date": hint if hint in dates else max(dates, default=None)}
