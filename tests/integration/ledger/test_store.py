"""Sealing: what waits in the outbox gets its leaves, each once, and the tree is the golden one."""

from contextlib import closing, suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy import Connection, func, insert, select

from datastorage.errors import DatabaseError
from datastorage.ledger.appending import stored_leaf
from datastorage.ledger.key_files import LedgerKeys
from datastorage.ledger.leaf import Kind
from datastorage.ledger.store import LedgerStore
from datastorage.ledger.tiles import tiles_of
from datastorage.ledger.tree import Frontier, leaf_hash
from datastorage.tables import (
    audit_events,
    audit_unsealed,
    ledger_checkpoints,
    ledger_entries,
    ledger_statements,
    ledger_tiles,
)
from tests.integration.ledger.conftest import store_of
from tests.lab.proxy import Mode, Proxy
from tests.support.event_rows import an_event_row
from tests.support.golden_log import owner_of, store_golden_log
from tests.support.ledger_vectors import SIZE, content, document, leaves, signing_key, texts
from tests.support.servers import TestDatabase


def count(owner: Connection, table: Any) -> int:
    return int(owner.scalar(select(func.count()).select_from(table)) or 0)


def test_events_and_statements_of_the_vectors_become_the_golden_log(
    empty: TestDatabase, redis_url: str
) -> None:
    with owner_of(empty) as owner, store_of(empty, redis_url) as store:
        store_golden_log(owner)

        rounds = [store.seal(limit) for limit in (1, 7, 249, 100)]

        assert [(each.size, each.leaves, each.missing) for each in rounds if each] == [
            (1, 1, ()), (8, 7, ()), (257, 249, ()), (SIZE, 23, ()),
        ]  # fmt: skip
        assert_golden(owner)


def assert_golden(owner: Connection) -> None:
    assert count(owner, audit_unsealed) == 0
    roots = owner.execute(select(ledger_checkpoints.c.tree_size, ledger_checkpoints.c.root)).all()
    assert {str(size): root.hex() for size, root in roots} == {
        size: document("roots.json")[size] for size in ("1", "8", "257", "280")
    }
    entries = owner.execute(select(ledger_entries).order_by(ledger_entries.c.leaf_index)).all()
    assert [row.leaf_index for row in entries] == list(range(SIZE))
    assert [
        row.kind.to_bytes(1) + row.event_id.bytes + row.correlation_tag.to_bytes(8, signed=True) + row.digest
        for row in entries
    ] == list(leaves())
    kept = owner.execute(select(ledger_tiles.c.level, ledger_tiles.c.n, ledger_tiles.c.hashes)).all()
    full_or_upper = [tile for level in (0, 1) for tile in tiles_of(level, SIZE) if level or tile.width == 256]
    assert sorted(kept) == [(tile.level, tile.number, content(f"log/{tile.path}")) for tile in full_or_upper]
    statements = owner.scalars(select(ledger_statements.c.statement).order_by(ledger_statements.c.leaf_index))
    assert [each.encode() for each in statements] == [t for t in texts() if t.startswith(b'{"statement_id"')]


def a_statement(**members: str) -> str:
    return msgspec.json.encode({"statement_id": uuid4()} | members).decode()


def test_empty_store_is_complete_from_the_beginning(owner: Connection, store: LedgerStore) -> None:
    idle = store.seal(10)

    assert idle is not None
    assert idle.leaves == 0
    [statement] = owner.execute(select(ledger_statements).where(ledger_statements.c.type == "backfill")).all()
    members = msgspec.json.decode(statement.statement)
    assert list(members) == ["statement_id", "type", "at", "by", "months", "rows", "first_leaf", "last_leaf"]
    assert (statement.leaf_index, members["rows"], members["months"]) == (0, 0, [])
    assert (members["first_leaf"], members["last_leaf"], members["by"]) == (None, None, "datastorage")


def test_event_that_is_not_found_waits_and_holds_up_nobody(owner: Connection, store: LedgerStore) -> None:
    lost, found = an_event_row(), an_event_row()
    owner.execute(insert(audit_events), found)
    owner.execute(insert(audit_unsealed).values(event_id=uuid4(), statement="nonsense"))
    owner.execute(insert(audit_unsealed).values(event_id=uuid4(), statement=a_statement(type="x" * 101)))
    for row in (lost, found):
        owner.execute(insert(audit_unsealed).values(event_id=row["event_id"], event_date=row["event_date"]))

    first = store.seal(10)
    assert first is not None
    again = store.seal(10, skipped=first.missing)
    owner.execute(insert(audit_events), lost)
    later = store.seal(10)

    assert (first.leaves, len(first.missing)) == (1, 3)
    assert again is not None
    assert (again.leaves, again.missing) == (0, ())
    assert later is not None
    assert (later.size, later.leaves, len(later.missing)) == (first.size + 1, 1, 2)
    newest = owner.execute(select(ledger_entries).where(ledger_entries.c.leaf_index == first.size)).one()
    assert (newest.event_id, newest.kind) == (lost["event_id"], Kind.EVENT)


def test_one_seals_at_a_time(shared: TestDatabase, owner: Connection, store: LedgerStore) -> None:
    row = an_event_row()
    owner.execute(insert(audit_events), row)
    owner.execute(insert(audit_unsealed).values(event_id=row["event_id"], event_date=row["event_date"]))
    key = func.hashtextextended("datastorage.ledger", 0)

    with owner_of(shared) as other:
        other.execute(select(func.pg_advisory_lock(key)))
        refused = store.seal(10)
        other.execute(select(func.pg_advisory_unlock(key)))
    after = store.seal(10)

    assert refused is None
    assert after is not None
    assert after.leaves == 1


def test_killed_between_commit_and_signature_is_signed_by_whoever_comes_next(
    empty: TestDatabase, redis_url: str
) -> None:
    """What was committed has one root for ever; the first that reads it back signs it."""
    keys = LedgerKeys(document("keys.json")["origin"], (signing_key(),))
    with owner_of(empty) as owner, store_of(empty, redis_url) as store:
        store_golden_log(owner)
        store.seal(255)

        with store_of(empty, redis_url) as another:  # the first is gone
            signed = another.sign(keys)
            assert another.sign(keys) is None
            another.seal(100)
            later = another.sign(keys)

        assert signed is not None
        assert later is not None
        roots = {str(each.size): each.root.hex() for each in (signed, later)}
        assert roots == {size: document("roots.json")[size] for size in ("255", "280")}


def test_unknown_outcome_of_a_commit_forks_nothing(empty: TestDatabase, redis_url: str) -> None:
    """The answer to COMMIT is lost on its way: the next round goes on from what is there."""
    proxy = Proxy(empty.app_url.port or 0)
    behind = replace(empty, app_url=empty.app_url.set(port=proxy.port))
    with owner_of(empty) as owner, store_of(behind, redis_url) as store, closing(proxy):
        store_golden_log(owner)
        for limit in (8, 120):
            store.waiting()  # a new connection commits something too
            proxy.mode = Mode.LOSE_ONE_COMMIT_ANSWER
            with suppress(DatabaseError):  # the round cannot tell, and need not
                store.seal(limit)
            assert proxy.mode is Mode.PASS
        while (sealed := store.seal(100)) is not None and sealed.leaves:
            pass

        entries = owner.execute(select(ledger_entries).order_by(ledger_entries.c.leaf_index)).all()
        roots = dict(owner.execute(select(ledger_checkpoints.c.tree_size, ledger_checkpoints.c.root)).all())
        assert [stored_leaf(entry).encoded() for entry in entries] == list(leaves())
        tree = Frontier()
        for leaf in leaves():
            tree.append(leaf_hash(leaf))
            assert roots.get(tree.size, tree.root()) == tree.root()
        assert set(roots) >= {8, 128, SIZE}
