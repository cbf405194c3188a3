"""Publication to folders, receivers and witnesses, and the alarm when the tree is not the published one."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from datastorage.ledger.checkpoint import Checkpoint, open_checkpoint
from datastorage.ledger.keys import SigningKey
from datastorage.ledger.note import Note
from tests.api.ledger.conftest import StartLedger
from tests.support import verifier
from tests.support.builders import EVENTS, an_event
from tests.support.golden_log import owner_of
from tests.support.ledger_stand import LEDGER, LedgerStand
from tests.support.ledger_vectors import document, key
from tests.support.receivers import Receiver, Witness, receiving
from tests.support.waiting import eventually
from tests.support.writes import created

SHORTER = "Ledger history is shorter than what was published"
ORIGIN = document("keys.json")["origin"]


@pytest.fixture
def signing(key_file: Path) -> dict[str, str]:
    return {
        "LEDGER_SIGNING_KEY_FILE": str(key_file),
        "LEDGER_ORIGIN": ORIGIN,
        "LEDGER_PUBLISH_INTERVAL": "1s",
    }


def newest_in(folder: Path) -> Checkpoint:
    return open_checkpoint(Note.of((folder / "checkpoint").read_bytes()), [key()])


def is_published(folder: Path, size: int) -> bool:
    return (folder / "checkpoint").exists() and newest_in(folder).size >= size


def size_of(stand: LedgerStand) -> int:
    return int(stand.api.get(f"{LEDGER}/checkpoint").headers["ETag"].strip('"'))


def lines(stand: LedgerStand, message: str) -> list[dict[str, Any]]:
    return [line for line in stand.service.log_lines if line["msg"] == message]


def test_folder_gets_each_checkpoint_once_and_the_newest_beside_them(
    start_ledger: StartLedger, signing: dict[str, str], tmp_path: Path
) -> None:
    stand = start_ledger(**signing, LEDGER_PUBLISH=f"file:{tmp_path}")
    eventually(lambda: is_published(tmp_path, 2))
    first = {each.name: each.stat().st_mtime_ns for each in (tmp_path / "checkpoints").iterdir()}
    stand.proved(created(stand.api, an_event()).json["event_id"])
    eventually(lambda: is_published(tmp_path, 3))

    kept = {each.name: each.stat().st_mtime_ns for each in (tmp_path / "checkpoints").iterdir()}
    assert first.items() < kept.items()
    assert all(name == f"{int(name):020}" for name in kept)
    sizes = sorted(int(name) for name in kept)
    eventually(lambda: [line["tree_size"] for line in lines(stand, "Ledger checkpoint")] == sizes)
    assert lines(stand, "Ledger checkpoint")[-1]["note"] == (tmp_path / "checkpoint").read_text()


def test_receiver_is_tried_again_with_the_newest(
    start_ledger: StartLedger, signing: dict[str, str], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("secret-of-the-receiver\n")
    with receiving(Receiver(is_away=True)) as receiver:
        stand = start_ledger(**signing, LEDGER_PUBLISH=receiver.url, LEDGER_PUBLISH_TOKEN_FILE=str(token))
        eventually(lambda: bool(lines(stand, "Ledger publication failed")))
        receiver.is_away = False
        eventually(lambda: bool(receiver.notes))

    assert open_checkpoint(Note.of(receiver.notes[-1].encode()), [key()]).size >= 2
    assert set(receiver.authorizations) == {"Bearer secret-of-the-receiver"}
    assert "secret-of-the-receiver" not in stand.service.log


def test_witness_cosigns_and_proofs_carry_its_line(
    start_ledger: StartLedger, signing: dict[str, str], tmp_path: Path
) -> None:
    with receiving(Witness()) as witness:
        assert isinstance(witness, Witness)
        stand = start_ledger(**signing, LEDGER_WITNESSES=f"{witness.key.vkey} {witness.url}")
        event_id = created(stand.api, an_event()).json["event_id"]
        eventually(lambda: len(witness.notes) >= 1 and b"witness.example" in stand.proof(event_id).body)
        created(stand.api, an_event())
        eventually(lambda: len(witness.notes) >= 2)

        proof, read = stand.proof(event_id), stand.api.get(f"{EVENTS}/{event_id}")

    (tmp_path / "e.json").write_bytes(read.body)
    (tmp_path / "e.tlog-proof").write_bytes(proof.body)
    arguments = ["event", str(tmp_path / "e.json"), str(tmp_path / "e.tlog-proof"), "--key", key().vkey]
    code, output = verifier.run([*arguments, "--witness", witness.key.vkey, "--quorum", "1"])
    assert code == 0, output


def test_witness_that_knows_a_larger_tree_stops_the_ledger(
    start_ledger: StartLedger, signing: dict[str, str]
) -> None:
    witness = Witness()
    witness.known_size = 1_000_000
    with receiving(witness):
        stand = start_ledger(**signing, LEDGER_WITNESSES=f"{witness.key.vkey} {witness.url}")
        eventually(lambda: bool(lines(stand, "Ledger publication failed")))
        created(stand.api, an_event())
        eventually(lambda: bool(lines(stand, SHORTER)))
        eventually(lambda: stand.api.get("/health").json["ledger"] == "stopped", timeout_seconds=20)


def test_earlier_state_stops_the_ledger_until_a_new_log_is_begun(
    start_ledger: StartLedger, signing: dict[str, str], tmp_path: Path
) -> None:
    """What a restored backup looks like: the folder knows a larger tree."""
    stand = start_ledger(**signing, LEDGER_PUBLISH=f"file:{tmp_path}")
    eventually(lambda: is_published(tmp_path, 2))
    stand.service.stop()
    ahead = Checkpoint(ORIGIN, 500, bytes(32))
    (tmp_path / "checkpoint").write_text(str(ahead.signed([golden_key(ORIGIN)])))

    stand.start(**signing, LEDGER_PUBLISH=f"file:{tmp_path}")
    size = size_of(stand)
    written = created(stand.api, an_event())
    eventually(lambda: stand.api.get("/health").json["ledger"] == "stopped", timeout_seconds=20)
    eventually(lambda: bool(lines(stand, SHORTER)))
    [line, *_] = lines(stand, SHORTER)
    waiting = stand.proof(written.json["event_id"])
    assert (line["published_tree_size"], line["tree_size"], line["level"]) == (500, size, "error")
    assert (waiting.status, size_of(stand)) == (409, size)
    stand.service.stop()

    new = signing | {"LEDGER_ORIGIN": "ds.example.org/second"}
    stand.start(**new, LEDGER_PUBLISH=f"file:{tmp_path}")
    eventually(lambda: stand.proof(written.json["event_id"]).status == 200)

    with owner_of(stand.database) as owner:
        statement = "SELECT statement FROM ledger_statements WHERE leaf_index = :size"
        first = json.loads(owner.scalar(text(statement), {"size": size}) or "")
    assert (first["action"], first["origin"]) == ("add", "ds.example.org/second")
    assert first["previous"]["origin"] == ORIGIN
    assert first["previous"]["tree_size"] == 500


def test_another_root_of_the_same_size_stops_the_ledger(
    start_ledger: StartLedger, signing: dict[str, str], tmp_path: Path
) -> None:
    stand = start_ledger(**signing, LEDGER_PUBLISH=f"file:{tmp_path}")
    eventually(lambda: is_published(tmp_path, 2))
    forged = Checkpoint(ORIGIN, newest_in(tmp_path).size, bytes(32))
    (tmp_path / "checkpoint").write_text(str(forged.signed([golden_key(ORIGIN)])))

    created(stand.api, an_event())

    eventually(lambda: bool(lines(stand, "Ledger history differs from what was published")))
    eventually(lambda: stand.api.get("/health").json["ledger"] == "stopped", timeout_seconds=20)


def golden_key(origin: str) -> SigningKey:
    return SigningKey.of_pem(origin, document("keys.json")["key"]["private_pem"].encode())
