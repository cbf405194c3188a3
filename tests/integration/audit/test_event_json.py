"""What PostgreSQL writes of an event is what our own encoder would write, to the byte."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, cast, func, insert, select
from sqlalchemy.dialects.postgresql import TEXT

from datastorage.audit.reader import AuditReader
from datastorage.platform.web import json
from datastorage.tables import audit_events
from tests.support.event_rows import an_event_row

JANUARY = datetime(2026, 1, 14, 8, 12, 45, tzinfo=UTC)
PARENT = UUID("0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11")
TEXTS = {"namespace": 253, "cluster_name": 255, "severity": 20, "error_code": 50, "error_message": 65536}
RARE_TEXTS = {"resource_name": 255, "trace_id": 255, "span_id": 255}
ALWAYS = (
    "event_id", "event_timestamp", "event_date", "received_at", "event_type", "version", "event_category",
    "event_action", "event_outcome", "correlation_id", "parent_event_id", "parent_event_date",
    "resource_type", "resource_id", "namespace", "cluster_name", "severity", "duration_ms", "error_code",
    "error_message", "actor_id", "actor_type", "retention_days", "is_sensitive",
)  # fmt: skip

characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


def encoded(connection: Connection, event_id: UUID) -> str:
    """Read the columns and write them in Python."""
    documents = ("event_data", "event_metadata")
    rendered = [cast(audit_events.c[name], TEXT).label(name) for name in documents]
    others = [each for each in audit_events.c if each.name not in {*documents, "actor_ip"}]
    found = connection.execute(
        select(*others, *rendered, func.host(audit_events.c.actor_ip).label("actor_ip")).where(
            audit_events.c.event_id == event_id
        )
    )
    columns = dict(found.mappings().one())
    columns["version"] = columns["event_version"]
    members = {name: columns[name] for name in ALWAYS}
    members |= {name: members[name] or "" for name in TEXTS}
    members["event_data"] = msgspec.Raw(columns["event_data"].encode())
    for name in ("actor_ip", *RARE_TEXTS):
        if columns[name] is not None:
            members[name] = columns[name]
    if columns["event_metadata"] is not None:
        members["event_metadata"] = msgspec.Raw(columns["event_metadata"].encode())
    return json.encode(members).decode()


def assert_same(reader: AuditReader, owner: Connection, row: dict[str, Any]) -> None:
    owner.execute(insert(audit_events), row)

    assert bytes(reader.find(row["event_id"])).decode() == encoded(owner, row["event_id"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(TEXTS | RARE_TEXTS, st.text(characters, max_size=20))
    )
)
def test_any_text_is_written_alike(reader: AuditReader, owner: Connection, texts: dict[str, str]) -> None:
    assert_same(reader, owner, an_event_row(**texts))


def test_every_character_below_the_surrogates_is_written_alike(
    reader: AuditReader, owner: Connection
) -> None:
    every = "".join(map(chr, range(1, 0xD800)))

    assert_same(reader, owner, an_event_row(error_message=every))


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"event_timestamp": JANUARY},
        {"event_timestamp": JANUARY.replace(microsecond=1)},
        {"event_timestamp": JANUARY.replace(microsecond=120000)},
        {"duration_ms": -(2**31), "retention_days": 1, "is_sensitive": True},
        {"duration_ms": 0, "retention_days": None, "is_sensitive": None, "severity": None},
        {"parent_event_id": PARENT, "parent_event_date": None},
        {"actor_ip": "2001:db8::1", "event_metadata": {"a": [1, {"b": None}]}},
        {"actor_ip": "192.0.2.7", "event_metadata": {}},
        {"event_data": {"n": 10**40, "f": 1.5e-7, "text": '\u00e9\u2028"\\/\x7f', "nested": {"a": []}}},
    ],
)
def test_every_kind_of_value_is_written_alike(
    reader: AuditReader, owner: Connection, columns: dict[str, Any]
) -> None:
    assert_same(reader, owner, an_event_row(**columns))
