"""Proofs: checked offline by the verifier that clients have."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Connection, func, insert, select, text

from datastorage.tables import audit_events, audit_unsealed
from tests.support import verifier
from tests.support.builders import EVENTS, an_event, unique
from tests.support.event_rows import an_event_row
from tests.support.golden_log import owner_of
from tests.support.http import assert_problem
from tests.support.ledger_stand import LEDGER, LedgerStand
from tests.support.ledger_vectors import key
from tests.support.waiting import eventually
from tests.support.writes import created

LOCK = func.hashtextextended("datastorage.ledger", 0)


def verified(folder: Path, text: bytes, proof: bytes, suffix: str) -> tuple[int, str]:
    """Return what ``datastorage verify event`` says."""
    event_file, proof_file = folder / "event.json", folder / f"event{suffix}"
    event_file.write_bytes(text)
    proof_file.write_bytes(proof)
    return verifier.run(["event", str(event_file), str(proof_file), "--key", key().vkey])


def test_proof_shows_offline_that_the_event_is_as_it_was_read(signed: LedgerStand, tmp_path: Path) -> None:
    event_id = created(signed.api, an_event(event_data={"number": 1.10, "text": "ä\u2028"})).json["event_id"]

    proof = signed.proved(event_id)
    receipt = signed.proof(event_id, Accept="application/cose")
    read = signed.api.get(f"{EVENTS}/{event_id}")

    answer = signed.proof(event_id)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Content-Disposition"] == f'inline; filename="{event_id}.tlog-proof"'
    assert (answer.headers["Cache-Control"], answer.headers["Vary"]) == ("public, max-age=60", "Accept")
    assert receipt.headers["Content-Type"] == "application/cose"
    for evidence, suffix in ((proof, ".tlog-proof"), (receipt.body, ".cose")):
        assert verified(tmp_path, read.body, evidence, suffix)[0] == 0
        code, output = verified(tmp_path, read.body.replace(b"success", b"failure"), evidence, suffix)
        assert (code, output.split()[0]) == (1, "TAMPERED")


def test_statement_has_a_proof_too(signed: LedgerStand, owner: Connection) -> None:
    first = text("SELECT statement_id FROM ledger_statements ORDER BY leaf_index LIMIT 1")
    eventually(lambda: owner.scalar(first) is not None)
    statement_id = owner.scalar(first)
    eventually(lambda: signed.api.get(f"{LEDGER}/checkpoint").status == 200)

    assert signed.proof(str(statement_id)).status == 200


def test_event_that_is_not_sealed_yet_is_409(signed: LedgerStand) -> None:
    with owner_of(signed.database) as other:
        other.execute(select(func.pg_advisory_lock(LOCK)))
        event_id = created(signed.api, an_event()).json["event_id"]
        answer = signed.proof(event_id)
        other.execute(select(func.pg_advisory_unlock(LOCK)))

    problem = assert_problem(answer, 409, "ledger/not-sealed")
    assert (problem["detail"], problem["retry"]) == ("event is not sealed yet", True)
    assert answer.headers["Retry-After"] == "1"
    assert signed.proved(event_id)


def test_event_of_before_the_ledger_is_409_and_names_the_backfill(
    signed: LedgerStand, owner: Connection
) -> None:
    row = an_event_row()
    owner.execute(insert(audit_events), row)

    answer = signed.proof(str(row["event_id"]))

    problem = assert_problem(answer, 409, "ledger/not-sealed")
    assert "datastorage ledger backfill" in problem["detail"]
    assert "retry" not in problem
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize(("event_id", "status", "slug"), [("abc", 400, "validation-error")])
def test_bad_id_is_400(signed: LedgerStand, event_id: str, status: int, slug: str) -> None:
    problem = assert_problem(signed.proof(event_id), status, slug)

    assert list(problem["field_errors"]) == ["event_id"]


def test_unknown_id_is_404(signed: LedgerStand) -> None:
    assert_problem(signed.proof(str(uuid4())), 404, "not-found")


def test_leaf_of_an_event_that_is_gone_is_found_by_its_correlation_id(
    signed: LedgerStand, owner: Connection, tmp_path: Path
) -> None:
    correlation_id = unique()
    event_id = created(signed.api, an_event(correlation_id=correlation_id)).json["event_id"]
    kept = signed.api.get(f"{EVENTS}/{event_id}").body
    signed.proved(event_id)
    owner.execute(text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
    owner.execute(audit_events.delete().where(audit_events.c.event_id == event_id))
    owner.execute(text("ALTER TABLE audit_events ENABLE TRIGGER USER"))

    without = signed.proof(event_id)
    found = signed.api.get(f"{EVENTS}/{event_id}/proof", {"correlation_id": correlation_id})

    assert_problem(without, 404, "not-found")
    assert found.status == 200
    assert verified(tmp_path, kept, found.body, ".tlog-proof")[0] == 0


def test_proof_of_an_id_with_two_dates_fits_the_text_that_is_read(
    signed: LedgerStand, owner: Connection, tmp_path: Path
) -> None:
    first = an_event_row()
    day = timedelta(days=1)
    second = first | {
        "event_date": first["event_date"] - day, "event_timestamp": first["event_timestamp"] - day
    }  # fmt: skip
    for row in (first, second):
        owner.execute(select(func.ensure_month_partition("audit_events", row["event_date"].replace(day=1))))
        owner.execute(insert(audit_events), row)
        key_of_row = {"event_id": row["event_id"], "event_date": row["event_date"]}
        owner.execute(insert(audit_unsealed).values(key_of_row))

    proof = signed.proved(str(first["event_id"]))
    read = signed.api.get(f"{EVENTS}/{first['event_id']}").body

    assert verified(tmp_path, read, proof, ".tlog-proof")[0] == 0


def test_log_as_a_whole_is_verified_over_http(signed: LedgerStand) -> None:
    eventually(lambda: signed.api.get(f"{LEDGER}/checkpoint").status == 200)

    code, output = verifier.run(["log", f"{signed.api.url}{LEDGER}/", "--key", key().vkey])

    assert (code, output.split()[0]) == (0, "ok")
