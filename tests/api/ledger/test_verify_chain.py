"""``POST /api/v1/audit/verify-chain``: the golden answers, and what clients send."""

import json
from typing import Any

import pytest
from sqlalchemy import Connection, insert, text, update

from datastorage.ledger.checkpoint import open_checkpoint
from datastorage.ledger.note import Note
from datastorage.tables import audit_events
from tests.support.builders import an_event, unique
from tests.support.event_rows import an_event_row
from tests.support.golden_log import owner_of
from tests.support.http import assert_problem
from tests.support.ledger_stand import LedgerStand
from tests.support.ledger_vectors import SIZE, document, key
from tests.support.waiting import eventually
from tests.support.writes import batch_created, created

CHAIN = "/api/v1/audit/verify-chain"


def verified(stand: LedgerStand, correlation_id: str) -> dict[str, Any]:
    answer = stand.api.post(CHAIN, {"correlation_id": correlation_id, "unknown": 1})
    assert answer.status == 200, answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    members: dict[str, Any] = answer.json
    return members


def fixed(members: dict[str, Any]) -> dict[str, Any]:
    """Leave out what depends on the time; the service has gone on and stated which key signs now."""
    free = {"verification_time", "checkpoint"}
    return {name: value for name, value in members.items() if name not in free}


def test_golden_answers_before_and_after_tampering(golden: LedgerStand) -> None:
    expected = document("verify-chain.json")
    eventually(lambda: verified(golden, "rr-0002")["checkpoint"] is not None)

    untouched, unknown = verified(golden, "rr-0002"), verified(golden, expected["empty"]["correlation_id"])
    edited_id, deleted_id = (each["event_id"] for each in expected["edited"]["response"]["tampered_events"])
    with owner_of(golden.database) as owner:
        owner.execute(text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
        events = audit_events.c
        owner.execute(update(audit_events).where(events.event_id == edited_id).values(severity="low"))
        owner.execute(audit_events.delete().where(events.event_id == deleted_id))

    assert fixed(untouched) == fixed(expected["valid"])
    assert fixed(unknown) == fixed(expected["empty"])
    assert fixed(verified(golden, "rr-0002")) == fixed(expected["edited"]["response"])
    assert open_checkpoint(Note.of(untouched["checkpoint"].encode()), [key()]).size > SIZE


def test_events_that_were_just_written_are_waited_for(signed: LedgerStand) -> None:
    ours = unique()
    batch_created(signed.api, [an_event(correlation_id=ours) for _ in range(12)])

    found = verified(signed, ours)

    assert (found["is_valid"], found["total_events"], found["verified_events"]) == (True, 12, 12)
    assert found["message"] == "Hash chain verified successfully: no tampering detected"


def test_event_of_before_the_ledger_is_left_out(signed: LedgerStand, owner: Connection) -> None:
    ours = unique()
    owner.execute(insert(audit_events), an_event_row(correlation_id=ours))

    found = verified(signed, ours)

    assert (found["is_valid"], found["skipped_null_hash"], found["unsealed_events"]) == (True, 1, 1)
    assert found["message"].endswith(" (1 events without hashes were excluded from verification)")


def test_event_of_a_month_that_left_with_a_statement_is_archived(
    signed: LedgerStand, owner: Connection
) -> None:
    ours = unique()
    event_id = created(signed.api, an_event(correlation_id=ours)).json["event_id"]
    verified(signed, ours)
    owner.execute(text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
    gone = audit_events.delete().where(audit_events.c.event_id == event_id)
    [day] = owner.execute(gone.returning(audit_events.c.event_date)).one()
    owner.execute(text("ALTER TABLE audit_events ENABLE TRIGGER USER"))
    missing = verified(signed, ours)

    statement = {"statement_id": event_id, "type": "archive", "month": f"{day:%Y-%m}", "rows": 1}
    row = {"leaf_index": 10**6, "statement_id": event_id, "statement": json.dumps(statement)}
    insertion = "INSERT INTO ledger_statements VALUES (:leaf_index, :statement_id, 'archive', :statement)"
    owner.execute(text(insertion), row)
    archived = verified(signed, ours)

    assert (missing["is_valid"], missing["missing_events"], missing["archived_events"]) == (False, 1, 0)
    assert missing["tampered_events"][0]["actual_hash"] == ""
    assert (archived["is_valid"], archived["missing_events"], archived["archived_events"]) == (True, 0, 1)


@pytest.mark.parametrize(
    ("body", "slug", "field"),
    [
        (b"[", "invalid-request-body", "body"),
        (b"[]", "invalid-request-body", "body"),
        (b"{}", "missing-correlation-id", "correlation_id"),
        (b'{"correlation_id":null}', "missing-correlation-id", "correlation_id"),
        (b'{"correlation_id":""}', "missing-correlation-id", "correlation_id"),
        (b'{"correlation_id":7}', "invalid-correlation-id", "correlation_id"),
        (b'{"correlation_id":"%s"}' % (b"x" * 256), "invalid-correlation-id", "correlation_id"),
        (rb'{"correlation_id":"a\u0000"}', "invalid-correlation-id", "correlation_id"),
    ],
)
def test_bad_question_is_refused(signed: LedgerStand, body: bytes, slug: str, field: str) -> None:
    problem = assert_problem(signed.api.post(CHAIN, body=body), 400, slug)

    assert list(problem["field_errors"]) == [field]


def test_other_methods_are_405(signed: LedgerStand) -> None:
    assert_problem(signed.api.get(CHAIN), 405, "method-not-allowed")
