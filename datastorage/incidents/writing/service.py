"""What is decided about written incidents: a known action is a conflict, in a batch a duplicate."""

import logging
from functools import partial

from datastorage.errors import Conflict, Fault, InvalidInput, NotFound, RowRefused
from datastorage.incidents.writing.lifecycle import judge_change
from datastorage.incidents.writing.model import (
    AlreadyStored,
    BatchCreated,
    BatchKnown,
    Changed,
    ItemResult,
    NewIncident,
    Outcome,
    Stored,
    UnknownHistories,
)
from datastorage.incidents.writing.store import UID_CONSTRAINT, BatchStored, IncidentWriteStore
from datastorage.platform.metrics import Metrics
from datastorage.platform.metrics.timing import timed_write

logger = logging.getLogger(__name__)

TABLE = "resource_action_traces"
UNKNOWN_HISTORY = Fault("does not exist")
UNSTORABLE = Fault("has a value that cannot be stored", "database_constraint")


class IncidentWriteService:
    """Records incidents and how they ended.

    Every method raises a classified ``DatabaseError`` when nothing was stored and a retry may help.

    Args:
        store: the tables.
        metrics: counts and durations of writes.
    """

    def __init__(self, store: IncidentWriteStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def create(self, incident: NewIncident) -> Stored:
        """Store one incident.

        Raises:
            Conflict: its ``action_id`` is stored, or its ``resource_uid`` belongs to another resource.
            InvalidInput: its history does not exist, or PostgreSQL refuses a value for good.
        """
        try:
            with timed_write(self._metrics, TABLE):
                outcome = self._store.create(incident)
        except RowRefused as refused:
            raise _refused(refused, [incident]) from refused
        if isinstance(outcome, UnknownHistories):
            raise InvalidInput.of("incident", {"action_history_id": UNKNOWN_HISTORY})
        if isinstance(outcome, AlreadyStored):
            raise Conflict(
                f"an incident with action_id {incident.action_id} is stored already",
                resource="incident",
                field="action_id",
                value=incident.action_id,
                existing_id=outcome.existing_id,
            )
        return outcome

    def create_all(self, incidents: list[NewIncident]) -> BatchCreated | BatchKnown:
        """Store the incidents of a batch that are not stored already, all or none.

        Raises:
            Conflict: a ``resource_uid`` belongs to another resource.
            InvalidInput: a history does not exist, or PostgreSQL refuses a value for good.
        """
        try:
            with timed_write(self._metrics, TABLE):
                outcome = self._store.create_all(incidents)
        except RowRefused as refused:
            raise _refused(refused, incidents) from refused
        if isinstance(outcome, UnknownHistories):
            faults = {f"[{index}].action_history_id": UNKNOWN_HISTORY for index in outcome.indexes}
            raise InvalidInput.of_items("incidents", faults, item="incident")
        return _batch_answer(incidents, outcome)

    def change(self, incident_id: int, outcome: Outcome) -> Changed:
        """Record how an action went on.

        Raises:
            NotFound: there is no incident with this id.
            Conflict: its status cannot become the new one.
            InvalidInput: the action would end before its start.
        """
        try:
            with timed_write(self._metrics, TABLE):
                text = self._store.update(incident_id, partial(judge_change, outcome=outcome))
        except RowRefused as refused:
            raise _refused(refused, []) from refused
        if text is None:
            raise NotFound(f"no incident has the id {incident_id}", title="Incident Not Found")
        return Changed(text)


def _batch_answer(incidents: list[NewIncident], stored: BatchStored) -> BatchCreated | BatchKnown:
    results = [
        ItemResult(index, "created" if is_new else "duplicate", incident_id, incident.action_id)
        for index, (incident, incident_id, is_new) in enumerate(
            zip(incidents, stored.ids, stored.are_new, strict=True)
        )
    ]
    created = sum(stored.are_new)
    duplicates = len(results) - created
    message = f"{_number(created, 'incident')} created, {_number(duplicates, 'duplicate')} skipped"
    answer = BatchCreated if created else BatchKnown
    return answer(created, duplicates, message, results)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _refused(refused: RowRefused, incidents: list[NewIncident]) -> InvalidInput | Conflict:
    """Say which value PostgreSQL refuses; it would refuse it on every retry."""
    if refused.reason == "foreign_key":
        return InvalidInput.of("incident", {"action_history_id": UNKNOWN_HISTORY})
    if refused.constraint == UID_CONSTRAINT:
        sent = (each.resource.resource_uid for each in incidents if each.resource)
        uids = [uid for uid in sent if uid]
        members = {"value": uids[0]} if len(uids) == 1 else {}
        detail = "resource_uid belongs to another resource"
        return Conflict(detail, resource="incident", field="resource_uid", **members)
    logger.error("PostgreSQL refused a validated incident", extra={"sqlstate": refused.sqlstate})
    if refused.reason == "unique":
        return Conflict("another record has the same key", resource="incident")
    return InvalidInput.of("incident", {"body": UNSTORABLE})
