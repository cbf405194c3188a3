"""``datastorage ledger``: standing, audit and backfill, against real tables and real tampering."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Connection, func, insert, select, text, update

from datastorage.operators import ledger
from datastorage.tables import (
    audit_events,
    audit_unsealed,
    ledger_checkpoints,
    ledger_entries,
    ledger_statements,
)
from tests.integration.ledger.conftest import environ_of, store_of
from tests.support.event_rows import an_event_row
from tests.support.golden_log import owner_of, store_golden_log
from tests.support.ledger_vectors import SIZE, content, document
from tests.support.servers import Servers, TestDatabase, migrated_database
from tests.support.service import environment_of_a_service
from tests.support.waiting import eventually

UNTRIGGERED = "ALTER TABLE {} {} TRIGGER USER"


@pytest.fixture(scope="module")
def golden(servers: Servers, redis_url: str) -> Iterator[TestDatabase]:
    """The golden log, sealed."""
    with migrated_database(servers.postgres_url) as database:
        with owner_of(database) as owner:
            store_golden_log(owner)
        with store_of(database, redis_url) as store:
            store.seal(1000)
        yield database


def run(database: TestDatabase, redis_url: str, *arguments: str, **settings: str) -> Result:
    return CliRunner().invoke(ledger, arguments, env={**environ_of(database, redis_url), **settings})


def audited(database: TestDatabase, redis_url: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    result = run(database, redis_url, "audit", "--json", *arguments)
    return result.exit_code, json.loads(result.stdout)


def test_good_store_has_no_difference(golden: TestDatabase, redis_url: str) -> None:
    as_text, (code, found) = run(golden, redis_url, "audit"), audited(golden, redis_url)

    # The golden log has no backfill statement, and no event that one would have to look for.
    assert (as_text.exit_code, as_text.stdout.split("\n")[0]) == (0, "ok")
    assert (code, found["differences"], found["before_ledger"]) == (0, 0, 0)


AT_55 = "IN (SELECT event_id FROM ledger_entries WHERE leaf_index = 55)"
TAMPERINGS = [
    ("audit_events", "UPDATE audit_events SET severity = 'low' WHERE event_id AT_55", "digest"),
    ("audit_events", "UPDATE audit_events SET correlation_id = 'x' WHERE event_id AT_55", "digest"),
    ("audit_events", "DELETE FROM audit_events WHERE event_id AT_55", "leaf_without_event"),
    ("ledger_entries", "UPDATE ledger_entries SET digest = sha256('x') WHERE leaf_index = 55", "tree"),
    ("ledger_entries", "DELETE FROM ledger_entries WHERE leaf_index = 55", "tree"),
    ("ledger_entries", ("INSERT INTO ledger_entries SELECT 1000, correlation_tag, event_id, event_date, kind,"
     " digest FROM ledger_entries WHERE leaf_index = 55"), "duplicate"),
    ("ledger_tiles", "UPDATE ledger_tiles SET hashes = overlay(hashes PLACING 'x' FROM 321) WHERE level = 0",
     "tree"),
    ("ledger_tiles", "UPDATE ledger_tiles SET hashes = overlay(hashes PLACING 'x' FROM 1) WHERE level = 1",
     "tree"),
    ("ledger_checkpoints", "UPDATE ledger_checkpoints SET root = sha256('x')", "tree"),
    ("ledger_statements", "UPDATE ledger_statements SET statement = statement || ' ' WHERE leaf_index = 0",
     "statement"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "tampering", "kind"), TAMPERINGS)
def test_tampering_is_found(
    golden: TestDatabase, redis_url: str, table: str, tampering: str, kind: str
) -> None:
    with owner_of(golden) as owner:
        saved = f"saved_{table}"
        owner.execute(text(f"CREATE TABLE {saved} AS TABLE {table}"))
        owner.execute(text(UNTRIGGERED.format(table, "DISABLE")))
        assert owner.execute(text(tampering.replace("AT_55", AT_55))).rowcount >= 1
        code, found = audited(golden, redis_url)
        restore(owner, table, saved)

    assert code == 1
    assert kind in found["counts"]
    assert audited(golden, redis_url)[0] == 0


def restore(owner: Connection, table: str, saved: str) -> None:
    owner.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - our own tables
    owner.execute(text(f"INSERT INTO {table} TABLE {saved}"))
    owner.execute(text(f"DROP TABLE {saved}"))
    owner.execute(text(UNTRIGGERED.format(table, "ENABLE")))


def test_events_of_before_the_ledger_get_their_leaves(empty: TestDatabase, redis_url: str) -> None:
    with owner_of(empty) as owner:
        owner.execute(audit_unsealed.delete())  # as in a store that had events when the ledger came
        owner.execute(insert(audit_events), [an_event_row() for _ in range(100)])

        before = audited(empty, redis_url)
        dry = run(empty, redis_url, "backfill", "--dry-run")
        filled = run(empty, redis_url, "backfill", "--json")
        again = run(empty, redis_url, "backfill", "--json")
        after = audited(empty, redis_url)
        owner.execute(insert(audit_events), an_event_row())
        past_the_outbox = audited(empty, redis_url)
        leaves = owner.scalar(select(func.count()).select_from(ledger_entries))
        statements = owner.scalar(select(func.count()).select_from(ledger_statements))

    assert (before[0], before[1]["differences"], before[1]["before_ledger"]) == (0, 0, 100)
    assert dry.stdout == "100 events have no leaf\n"
    assert filled.exit_code == 0, filled.output
    first = json.loads(filled.stdout)
    assert (first["rows"], first["first_leaf"], first["last_leaf"]) == (100, 0, 99)
    assert json.loads(again.stdout)["rows"] == 0
    assert (leaves, statements) == (102, 2)
    assert (after[0], after[1]["before_ledger"]) == (0, 0)
    assert (past_the_outbox[0], past_the_outbox[1]["counts"]) == (1, {"event_without_leaf": 1})


def test_backfill_that_is_killed_goes_on(empty: TestDatabase, redis_url: str) -> None:
    rows = 20_000
    with owner_of(empty) as owner:
        owner.execute(audit_unsealed.delete())
        template = an_event_row()
        owner.execute(insert(audit_events), template)
        made = {"event_id": "gen_random_uuid()", "correlation_id": "concat('rr-', number / 10)"}
        copied = ", ".join(made.get(each.name, each.name) for each in audit_events.columns)
        names = ", ".join(each.name for each in audit_events.columns)
        owner.execute(
            text(
                f"INSERT INTO audit_events ({names}) SELECT {copied}"  # noqa: S608 - our own columns
                f" FROM audit_events, generate_series(1, {rows}) AS number"
            )
        )
        environ = environment_of_a_service() | environ_of(empty, redis_url)
        for _ in range(2):
            command = [sys.executable, "-m", "datastorage", "ledger", "backfill"]
            process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)  # noqa: S603
            wait_until_more_are_sealed(owner, process)
            process.send_signal(signal.SIGKILL)
            process.wait()

        last = run(empty, redis_url, "backfill", "--json")
        leaves = owner.scalar(select(func.count(func.distinct(ledger_entries.c.event_id))))
        total = owner.scalar(select(func.count()).select_from(ledger_entries))
        kinds = owner.scalars(select(ledger_statements.c.type)).all()

    assert last.exit_code == 0, last.output
    assert leaves == total == rows + 2
    assert list(kinds) == ["backfill"]
    assert audited(empty, redis_url)[0] == 0


def wait_until_more_are_sealed(owner: Connection, process: subprocess.Popen[bytes]) -> None:
    sealed = select(func.count()).select_from(ledger_entries)
    before = owner.scalar(sealed) or 0
    eventually(lambda: (owner.scalar(sealed) or 0) > before or process.poll() is not None)


def test_two_at_once_exclude_each_other(shared: TestDatabase, owner: Connection, redis_url: str) -> None:
    lock = func.hashtextextended("datastorage.backfill", 0)
    owner.execute(select(func.pg_advisory_lock(lock)))
    refused = run(shared, redis_url, "backfill")
    owner.execute(select(func.pg_advisory_unlock(lock)))

    assert refused.exit_code == 2
    assert "another backfill is under way" in refused.stderr


def test_status_says_where_the_ledger_stands(golden: TestDatabase, redis_url: str) -> None:
    as_json, as_text = run(golden, redis_url, "status", "--json"), run(golden, redis_url, "status")

    members = json.loads(as_json.stdout)
    assert list(members) == [
        "origin", "state", "tree_size", "sealed_at", "unsealed", "oldest_unsealed_seconds", "vkeys",
        "checkpoints", "witnesses", "targets", "audit",
    ]  # fmt: skip
    assert (members["tree_size"], members["unsealed"], members["state"]) == (280, 0, "unsigned")
    assert any(line.split() == ["tree", "size", "280"] for line in as_text.stdout.splitlines())


def test_status_says_how_far_targets_and_witnesses_are(
    golden: TestDatabase, redis_url: str, tmp_path: Path
) -> None:
    """The golden log of the vectors has a checkpoint of 280 leaves that a witness has cosigned."""
    note = content("checkpoints/280-cosigned.txt").decode()
    witness = document("keys.json")["witness"]["vkey"]
    (tmp_path / "checkpoint").write_text(content("checkpoints/257.txt").decode())
    (tmp_path / "key.pem").write_text(document("keys.json")["key"]["private_pem"])
    columns = ledger_checkpoints.c
    with owner_of(golden) as owner:
        here = update(ledger_checkpoints).where(columns.tree_size == SIZE)
        owner.execute(here.values(note=note, published_at=func.now()))
        settings = {
            "DATASTORAGE_LEDGER_ORIGIN": document("keys.json")["origin"],
            "DATASTORAGE_LEDGER_SIGNING_KEY_FILE": str(tmp_path / "key.pem"),
            "DATASTORAGE_LEDGER_PUBLISH": f"file:{tmp_path},https://receiver.example.org/",
            "DATASTORAGE_LEDGER_WITNESSES": f"{witness} https://witness.example.org/",
        }
        found = json.loads(run(golden, redis_url, "status", "--json", **settings).stdout)
        as_text = run(golden, redis_url, "status", **settings).stdout
        owner.execute(here.values(note=None, published_at=None))

    name = witness.partition("+")[0]
    [of_witness] = found["witnesses"]
    assert (of_witness["name"], of_witness["tree_size"], of_witness["behind"]) == (name, SIZE, 0)
    assert found["targets"] == [{"kind": "file", "tree_size": 257}, {"kind": "https", "tree_size": SIZE}]
    assert found["checkpoints"][0]["cosigned_by"] == [name]
    assert [line.split()[:2] for line in as_text.splitlines()[-3:]] == [
        [name, "280"], ["file", "257"], ["https", "280"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["audit", "--month", "x"], 2), (["audit", "--month", "2026-13"], 2), (["nothing"], 2)],
)
def test_wrong_usage_is_2(shared: TestDatabase, redis_url: str, arguments: list[str], code: int) -> None:
    assert run(shared, redis_url, *arguments).exit_code == code


def test_database_that_does_not_answer_is_3(redis_url: str) -> None:
    environ = {
        "DATASTORAGE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "DATASTORAGE_REDIS_URL": redis_url,
    }

    codes = [CliRunner().invoke(ledger, [each], env=environ).exit_code for each in ("status", "audit")]

    assert codes == [3, 3]


def test_wrong_settings_are_2() -> None:
    environ = {"DATASTORAGE_DATABASE_URL": "x", "DATASTORAGE_REDIS_URL": "y"}

    assert CliRunner().invoke(ledger, ["status"], env=environ).exit_code == 2
