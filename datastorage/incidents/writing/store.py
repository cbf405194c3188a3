"""Incidents written to PostgreSQL: one public method is one transaction.

Locks are taken in one order everywhere, named histories by their id, then resources by their key, then
the histories of these: two batches about the same resources wait for each other instead of deadlocking.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from msgspec.structs import replace
from sqlalchemy import Connection

from datastorage.errors import RowRefused, TransactionConflict
from datastorage.incidents.reading.queries import ONE_OF_MONTH
from datastorage.incidents.writing import queries
from datastorage.incidents.writing.model import (
    AlreadyStored,
    NewIncident,
    Resource,
    ResourceKey,
    Stored,
    UnknownHistories,
    resource_key,
)
from datastorage.platform.db.database import Database
from datastorage.platform.db.retries import LONG_PAUSES
from datastorage.platform.db.sent_rows import as_parameters
from datastorage.settings import DatabaseSettings

T = TypeVar("T")

WRITE_TIMEOUT = timedelta(seconds=5)
ATTEMPTS = 3
UID_CONSTRAINT = "uq_resource_references_resource_uid"


@dataclass(frozen=True, slots=True)
class BatchStored:
    """The id of each item, and which of them were stored just now."""

    ids: Sequence[int]
    are_new: Sequence[bool]


class Overtaken(Exception):
    """Raised to roll back: another transaction stored one of the actions after the look-up."""


class IncidentWriteStore:
    """Stores and changes incidents.

    Args:
        database: where they are.
        settings: how long a request may wait for a connection.
    """

    def __init__(self, database: Database, settings: DatabaseSettings) -> None:
        self._database = database
        self._pool_wait = settings.pool_timeout

    def create(self, incident: NewIncident) -> Stored | AlreadyStored | UnknownHistories:
        """Store one incident.

        Raises:
            DatabaseError: it is not stored.
        """

        def work(connection: Connection) -> Stored | AlreadyStored | UnknownHistories:
            written = _write(connection, [incident])
            if isinstance(written, UnknownHistories):
                return written
            incident_id = written.ids[0]
            if not written.are_new[0]:
                return AlreadyStored(incident_id)
            return Stored(incident_id, _in_full(connection, incident_id, incident.trace.action_timestamp))

        return self._write_again_when_overtaken(work)

    def create_all(self, incidents: Sequence[NewIncident]) -> BatchStored | UnknownHistories:
        """Store all incidents that are not stored already, or none.

        Raises:
            DatabaseError: none of them is stored.
        """
        return self._write_again_when_overtaken(lambda connection: _write(connection, incidents))

    def update(
        self, incident_id: int, decide: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> str | None:
        """Change one incident and return it in full, ``None`` when there is none with this id.

        Args:
            incident_id: which one.
            decide: returns the columns to write, from those stored; what it raises rolls back.

        Raises:
            DatabaseError: nothing has changed.
        """

        def work(connection: Connection) -> str | None:
            current = connection.execute(queries.locked_trace(incident_id)).mappings().first()
            if current is None:
                return None
            at = current["action_timestamp"]
            connection.execute(queries.change_trace(incident_id, at, decide(dict(current))))
            return _in_full(connection, incident_id, at)

        return self._write(work)

    def _write_again_when_overtaken(self, work: Callable[[Connection], T]) -> T:
        for attempt in range(ATTEMPTS):
            try:
                return self._write(work)
            except Overtaken:
                continue
            except RowRefused as refused:
                # Two requests that create the same resource meet at its uid first; the second time the
                # resource is there and is updated. A uid that really belongs to another fails again.
                if refused.constraint != UID_CONSTRAINT or attempt > 0:
                    raise
        raise TransactionConflict(
            "concurrent change - please retry", reason="contention", retry_after_seconds=1
        )

    def _write(self, work: Callable[[Connection], T]) -> T:
        return self._database.write(
            work, timeout=WRITE_TIMEOUT, pool_wait=self._pool_wait, retries=LONG_PAUSES
        )


def _in_full(connection: Connection, incident_id: int, at: datetime) -> str:
    rows = ONE_OF_MONTH.rows(connection, {"incident_id": incident_id, "action_timestamp": at})
    text: str = rows[0][0]
    return text


def _write(connection: Connection, incidents: Sequence[NewIncident]) -> BatchStored | UnknownHistories:
    stored = _known_actions(connection, incidents)
    first_of: dict[str, NewIncident] = {}
    for incident in incidents:
        if incident.action_id not in stored:
            first_of.setdefault(incident.action_id, incident)
    new = list(first_of.values())
    if new:
        missing = _missing_histories(connection, new)
        if missing:
            return _unknown(incidents, missing)
        stored |= _insert(connection, new, _histories(connection, new))
    ids = [stored[incident.action_id] for incident in incidents]
    return BatchStored(ids, [first_of.get(incident.action_id) is incident for incident in incidents])


def _known_actions(connection: Connection, incidents: Sequence[NewIncident]) -> dict[str, int]:
    action_ids = sorted({incident.action_id for incident in incidents})
    rows = connection.execute(queries.KNOWN_ACTIONS, {"action_ids": action_ids})
    return {row.action_id: row.incident_id for row in rows}


def _missing_histories(connection: Connection, new: Sequence[NewIncident]) -> set[int]:
    named = {history_id for each in new if (history_id := each.trace.action_history_id) is not None}
    if not named:
        return set()
    return named - set(connection.scalars(queries.LOCKED_HISTORIES, {"history_ids": sorted(named)}))


def _unknown(incidents: Sequence[NewIncident], missing: set[int]) -> UnknownHistories:
    return UnknownHistories(
        [i for i, incident in enumerate(incidents) if incident.trace.action_history_id in missing]
    )


def _histories(connection: Connection, new: Sequence[NewIncident]) -> list[int | None]:
    """Return the history of each incident, upserted or named, with the new actions counted in."""
    resource_ids = _upsert_resources(connection, [each.resource for each in new if each.resource])
    owners = [resource_ids[each.resource.key] if each.resource else None for each in new]
    histories = _upsert_histories(connection, _count_actions("resource_id", zip(owners, new, strict=True)))
    named = _count_actions("id", ((each.trace.action_history_id, each) for each in new))
    if named:
        connection.execute(queries.ADD_TO_HISTORIES, as_parameters(named))
    return [
        each.trace.action_history_id if owner is None else histories[owner]
        for owner, each in zip(owners, new, strict=True)
    ]


def _upsert_histories(connection: Connection, counted: list[dict[str, Any]]) -> dict[int, int]:
    """Return the history of each resource."""
    if not counted:
        return {}
    rows = connection.execute(queries.UPSERT_HISTORIES, as_parameters(counted))
    return {resource_id: history_id for history_id, resource_id in rows}


def _count_actions(key: str, actions: Iterable[tuple[int | None, NewIncident]]) -> list[dict[str, Any]]:
    """Return how many actions each owner gets and when the last one was, in the order of owners."""
    counts: Counter[int] = Counter()
    last_at: dict[int, datetime] = {}
    for owner, incident in actions:
        if owner is not None:
            counts[owner] += 1
            at = incident.trace.action_timestamp
            last_at[owner] = max(last_at.get(owner, at), at)
    return [
        {key: owner, "total_actions": counts[owner], "last_action_at": last_at[owner]}
        for owner in sorted(counts)
    ]


def _upsert_resources(connection: Connection, resources: Iterable[Resource]) -> dict[ResourceKey, int]:
    latest = _latest(resources)
    if not latest:
        return {}
    rows = [latest[key] for key in sorted(latest)]
    sent = [each if each.resource_uid else replace(each, resource_uid=default_uid(each)) for each in rows]
    known = {"known_uids": [each.resource_uid for each in rows if each.resource_uid]}
    found = connection.execute(queries.UPSERT_RESOURCES, as_parameters(sent) | known)
    return {resource_key(*key): resource_id for resource_id, *key in found}


def _latest(resources: Iterable[Resource]) -> dict[ResourceKey, Resource]:
    """Return each resource as it was named last, with the uid that any of them brought."""
    latest: dict[ResourceKey, Resource] = {}
    for resource in resources:
        before = latest.get(resource.key, resource)
        latest[resource.key] = replace(resource, resource_uid=resource.resource_uid or before.resource_uid)
    return latest


def default_uid(resource: Resource) -> str:
    """Return the uid of a resource whose own is not known: always the same for the same resource."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(resource.key)))


def _insert(
    connection: Connection, new: Sequence[NewIncident], histories: Sequence[int | None]
) -> dict[str, int]:
    sent = [
        replace(incident.trace, action_history_id=history)
        for incident, history in zip(new, histories, strict=True)
    ]
    inserted = {
        action_id: row_id
        for row_id, action_id in connection.execute(queries.INSERT_TRACES, as_parameters(sent))
    }
    if len(inserted) < len(new):
        raise Overtaken
    return inserted
