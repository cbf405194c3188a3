"""The log as C2SP clients read it: checkpoint, tiles, keys."""

from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from datastorage.ledger.checkpoint import Checkpoint, open_checkpoint
from datastorage.ledger.leaf import Leaf
from datastorage.ledger.note import Note
from datastorage.ledger.tiles import hashes_in, leaves_in
from datastorage.ledger.tree import leaf_hash
from datastorage.tables import audit_unsealed, ledger_checkpoints, ledger_entries
from tests.api.ledger.conftest import StartLedger
from tests.support.builders import BATCH, EVENTS, an_event
from tests.support.http import Answer, assert_problem
from tests.support.ledger_stand import LEDGER, LedgerStand
from tests.support.ledger_vectors import document, key
from tests.support.waiting import eventually
from tests.support.writes import batch_created, created


def checkpoint_in(answer: Answer) -> Checkpoint:
    return open_checkpoint(Note.of(answer.body), [key()])


@pytest.fixture(scope="module")
def full(signed: LedgerStand) -> LedgerStand:
    """A log with a full tile of each kind and a partial one behind it."""
    for _ in range(3):
        batch_created(signed.api, [an_event() for _ in range(100)])
    eventually(lambda: checkpoint_in(signed.api.get(f"{LEDGER}/checkpoint")).size >= 302)
    return signed


def test_new_log_begins_with_its_key_and_says_that_nothing_was_there_before(signed: LedgerStand) -> None:
    eventually(lambda: signed.api.get(f"{LEDGER}/checkpoint").status == 200)
    bundle = signed.api.get(f"{LEDGER}/tile/entries/000.p/2")

    kinds = [Leaf.decoded(leaf).kind for leaf in leaves_in(bundle.body)]
    [added] = signed.known_keys()

    assert kinds == [2, 2]
    assert (added["vkey"], added["added_leaf"], added["retired_leaf"]) == (key().vkey, 0, None)
    assert added["public_key_pem"] == key().pem


def test_every_write_adds_one_leaf(signed: LedgerStand, owner: Connection) -> None:
    def size() -> int:
        return int(owner.scalar(select(func.max(ledger_checkpoints.c.tree_size))) or 0)

    def is_idle() -> bool:
        return not owner.scalar(select(func.count()).select_from(audit_unsealed)) and size() >= 2

    eventually(is_idle)
    before = size()
    event = an_event(event_id="7f1f5a52-0f0d-4b5e-8a59-3a6f4f2f4f55")
    first = signed.api.post(EVENTS, event)
    again = signed.api.post(EVENTS, event)
    signed.api.post("/api/v1/audit", an_event())
    signed.api.post(BATCH, [an_event() for _ in range(10)])
    eventually(is_idle)

    assert (first.status, again.status) == (201, 200)
    assert size() == before + 12
    leaves = owner.scalar(select(func.count()).where(ledger_entries.c.event_id == event["event_id"]))
    assert leaves == 1


def test_checkpoint_is_signed_and_has_a_validator(full: LedgerStand) -> None:
    first = full.api.get(f"{LEDGER}/checkpoint")
    etag = first.headers["ETag"]
    again = full.api.request("GET", f"{LEDGER}/checkpoint", headers={"If-None-Match": etag})
    stale = full.api.request("GET", f"{LEDGER}/checkpoint", headers={"If-None-Match": '"1"'})

    assert first.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert first.headers["Cache-Control"] == "public, max-age=1"
    assert etag == f'"{checkpoint_in(first).size}"'
    assert checkpoint_in(first).origin == document("keys.json")["origin"]
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)
    assert "Content-Length" not in again.headers
    assert stale.status == 200


def test_tiles_have_the_hashes_of_the_leaves_in_every_width(full: LedgerStand) -> None:
    whole = full.api.get(f"{LEDGER}/tile/0/000")
    partial = full.api.get(f"{LEDGER}/tile/0/000.p/17")
    upper = full.api.get(f"{LEDGER}/tile/1/000.p/1")
    behind = full.api.get(f"{LEDGER}/tile/0/001.p/5")
    bundle = full.api.get(f"{LEDGER}/tile/entries/000")
    part = full.api.get(f"{LEDGER}/tile/entries/001.p/5")

    assert [each.status for each in (whole, partial, upper, behind, bundle, part)] == [200] * 6
    assert (len(whole.body), len(partial.body), len(upper.body)) == (8192, 544, 32)
    assert partial.body == whole.body[:544]
    assert hashes_in(whole.body) == [leaf_hash(leaf) for leaf in leaves_in(bundle.body)]
    assert hashes_in(behind.body) == [leaf_hash(leaf) for leaf in leaves_in(part.body)]
    assert whole.headers["Content-Type"] == "application/octet-stream"
    assert whole.headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    "path",
    [
        "9/000", "0/0", "0/x00/000", "64/000", "0/000.p/0", "0/000.p/256", "0/001", "0/999.p/1",
        "entries/001", "0/x999/x999/x999/x999/x999/x999/999", "-1/000", "0/000/", "%30/000/..",
    ],
)  # fmt: skip
def test_tile_that_is_not_there_is_404(full: LedgerStand, path: str) -> None:
    assert_problem(full.api.get(f"{LEDGER}/tile/{path}"), 404, "not-found")


def test_head_works(full: LedgerStand) -> None:
    answers = [full.api.request("HEAD", f"{LEDGER}/{path}") for path in ("checkpoint", "keys", "tile/0/000")]

    assert [(each.status, each.body) for each in answers] == [(200, b"")] * 3
    assert answers[2].headers["Content-Length"] == "8192"


def test_without_a_key_everything_is_sealed_and_nothing_signed(start_ledger: StartLedger) -> None:
    stand = start_ledger()
    event_id = created(stand.api, an_event()).json["event_id"]
    eventually(lambda: stand.api.get(f"{LEDGER}/tile/entries/000.p/2").status == 200)

    proof = stand.proof(event_id)

    assert_problem(stand.api.get(f"{LEDGER}/checkpoint"), 503, "ledger/unsigned")
    assert_problem(proof, 503, "ledger/unsigned")
    assert proof.headers["Retry-After"] == "60"
    assert stand.api.get(f"{LEDGER}/keys").json == {"origin": "", "keys": []}
    assert stand.api.get("/health").json["ledger"] == "unsigned"
    assert any(line["msg"] == "Ledger is not signed" for line in stand.service.log_lines)


def test_rotation_signs_with_both_keys_and_retires_the_old_one(
    start_ledger: StartLedger, key_file: Path, tmp_path: Path
) -> None:
    keys = document("keys.json")
    following = tmp_path / "next.pem"
    following.write_text(keys["next_key"]["private_pem"])
    origin = {"LEDGER_ORIGIN": keys["origin"]}
    stand = start_ledger(LEDGER_SIGNING_KEY_FILE=str(key_file), **origin)
    old_id = created(stand.api, an_event()).json["event_id"]
    old_proof = stand.proved(old_id)
    stand.service.stop()

    both = {"LEDGER_SIGNING_KEY_FILE": str(key_file), "LEDGER_NEXT_KEY_FILE": str(following)}
    stand.start(**origin, **both)
    eventually(lambda: len(stand.known_keys()) == 2)
    eventually(lambda: len(Note.of(stand.api.get(f"{LEDGER}/checkpoint").body).signatures) == 2)
    note = Note.of(stand.api.get(f"{LEDGER}/checkpoint").body)
    stand.service.stop()
    stand.start(**origin, LEDGER_SIGNING_KEY_FILE=str(following))
    eventually(lambda: stand.known_keys()[0]["retired_leaf"] is not None)

    assert open_checkpoint(note, [key()]) == open_checkpoint(note, [key("next_key")])
    assert [each["vkey"] for each in stand.known_keys()] == [key().vkey, key("next_key").vkey]
    assert stand.known_keys()[1]["retired_leaf"] is None
    assert b"c2sp.org/tlog-proof@v1" in old_proof
