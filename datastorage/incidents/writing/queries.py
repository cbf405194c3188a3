"""Statements that write incidents: pure builders, values only ever as bound parameters.

Each takes any number of rows, so a batch and a single incident are the same statements.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Insert,
    Select,
    Text,
    Update,
    bindparam,
    case,
    cast,
    func,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from datastorage.incidents.tables import action_histories, resource_action_traces, resource_references
from datastorage.incidents.trace import NEW_MEMBERS
from datastorage.incidents.writing.model import Resource
from datastorage.platform.db.columns import TIMESTAMPTZ
from datastorage.platform.db.sent_rows import as_stored, sent_rows

TRACE_COLUMNS = tuple(resource_action_traces.c[each.name] for each in NEW_MEMBERS)
RESOURCE_COLUMNS = tuple(resource_references.c[name] for name in Resource.__struct_fields__)
CURRENT_COLUMNS = ("execution_status", "execution_start_time", "execution_end_time", "execution_duration_ms")

KNOWN_ACTIONS = (
    select(resource_action_traces.c.action_id, func.min(resource_action_traces.c.id).label("incident_id"))
    .where(resource_action_traces.c.action_id == func.any(bindparam("action_ids", type_=ARRAY(Text))))
    .group_by(resource_action_traces.c.action_id)
)
"""The stored ones of ``action_ids``; of two rows that share one the older counts."""

LOCKED_HISTORIES = (
    select(action_histories.c.id)
    .where(action_histories.c.id == func.any(bindparam("history_ids", type_=ARRAY(BigInteger))))
    .order_by(action_histories.c.id)
    .with_for_update(key_share=True)
)
"""The existing ones of ``history_ids``, locked in order so that two batches wait instead of deadlocking."""


def upsert_resources() -> Insert:
    """Insert resources or refresh those that exist, whose uid changes only if the producer sent one.

    INSERT INTO resource_references (…) SELECT … FROM json_to_recordset(…) AS sent
    ON CONFLICT (cluster_name, namespace, kind, name) DO UPDATE SET last_seen = now(), … RETURNING …
    """
    sent = sent_rows(RESOURCE_COLUMNS)
    statement = insert(resource_references).from_select(
        [each.name for each in RESOURCE_COLUMNS],
        select(*(as_stored(sent, each) for each in RESOURCE_COLUMNS)),
    )
    new, old = statement.excluded, resource_references.c
    was_sent = new.resource_uid == func.any(bindparam("known_uids", type_=ARRAY(Text)))
    return statement.on_conflict_do_update(
        index_elements=[old.cluster_name, old.namespace, old.kind, old.name],
        set_={
            "last_seen": func.now(),
            "api_version": new.api_version,
            "resource_uid": case((was_sent, new.resource_uid), else_=old.resource_uid),
            "deleted_at": null(),
        },
    ).returning(old.id, old.cluster_name, old.namespace, old.kind, old.name)


def upsert_histories() -> Insert:
    """Insert the histories of resources or add to those that exist.

    INSERT INTO action_histories (resource_id, total_actions, last_action_at)
    SELECT … FROM json_to_recordset(…) AS sent
    ON CONFLICT (resource_id) DO UPDATE SET total_actions = … RETURNING id, resource_id
    """
    history = action_histories.c
    columns = (history.resource_id, history.total_actions, history.last_action_at)
    sent = sent_rows(columns)
    statement = insert(action_histories).from_select(
        [each.name for each in columns], select(*(sent.c[each.name] for each in columns))
    )
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[history.resource_id],
        set_={
            "total_actions": func.coalesce(history.total_actions, 0) + new.total_actions,
            "last_action_at": func.greatest(history.last_action_at, new.last_action_at),
        },
    ).returning(history.id, history.resource_id)


def add_to_histories() -> Update:
    """Add actions to histories that are named by their own id.

    UPDATE action_histories SET total_actions = … FROM json_to_recordset(…) AS sent
    WHERE action_histories.id = sent.id
    """
    history = action_histories.c
    sent = sent_rows((history.id, history.total_actions, history.last_action_at))
    return (
        update(action_histories)
        .where(history.id == sent.c.id)
        .values(
            total_actions=func.coalesce(history.total_actions, 0) + sent.c.total_actions,
            last_action_at=func.greatest(history.last_action_at, sent.c.last_action_at),
        )
    )


def insert_traces() -> Insert:
    """Insert traces in the order sent, leave out those that were stored meanwhile, return the new ids.

    INSERT INTO resource_action_traces (…) SELECT … FROM json_to_recordset(…) AS sent
    ON CONFLICT (action_id, action_timestamp) DO NOTHING RETURNING id, action_id
    """
    trace = resource_action_traces.c
    sent = sent_rows(TRACE_COLUMNS)
    return (
        insert(resource_action_traces)
        .from_select(
            [each.name for each in TRACE_COLUMNS], select(*(as_stored(sent, each) for each in TRACE_COLUMNS))
        )
        .on_conflict_do_nothing(index_elements=[trace.action_id, trace.action_timestamp])
        .returning(trace.id, trace.action_id)
    )


UPSERT_RESOURCES = upsert_resources()
UPSERT_HISTORIES = upsert_histories()
ADD_TO_HISTORIES = add_to_histories()
INSERT_TRACES = insert_traces()


def locked_trace(incident_id: int) -> Select[Any]:
    """Select what a change depends on, and keep others from changing it."""
    trace = resource_action_traces.c
    names = ("action_timestamp", *CURRENT_COLUMNS)
    return (
        select(*(trace[name] for name in names))
        .where(trace.id == incident_id)
        .with_for_update(key_share=True)
    )


def change_trace(incident_id: int, action_timestamp: datetime, changes: Mapping[str, Any]) -> Update:
    """Write ``changes`` to one trace; its timestamp names the partition."""
    trace = resource_action_traces.c
    return (
        update(resource_action_traces)
        .where(trace.id == incident_id, trace.action_timestamp == literal(action_timestamp, TIMESTAMPTZ))
        .values({name: _value(name, value) for name, value in changes.items()})
    )


def _value(name: str, value: Any) -> ColumnElement[Any]:
    kind = resource_action_traces.c[name].type
    if value is None:
        return null()
    return cast(literal(value, Text), JSONB) if isinstance(kind, JSONB) else literal(value, kind)
