from pathlib import Path

import pytest

from tests.support.ledger_cases import Files, vkey
from tests.support.ledger_vectors import FOLDER, content, texts
from tests.support.verifier import run

PROOF = str(FOLDER / "proofs/11.tlog-proof")
RECEIPT = str(FOLDER / "proofs/11.cose")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def event(files: Files) -> str:
    return str(files.write(texts()[11]))


def test_first_line_is_the_verdict_and_the_second_says_what_was_found(event: str) -> None:
    exit_code, output = run(["event", event, PROOF, "--key", vkey()])

    assert exit_code == 0
    assert output == "ok\nleaf 11 of 280 in ds.example.org/api/v1/audit/ledger\n"


def test_doubt_is_one_line(files: Files) -> None:
    other = str(files.write(texts()[12]))

    exit_code, output = run(["event", other, PROOF, "--key", vkey()])

    about = "the text and the path of leaf 11 do not lead to the root of size 280"
    assert (exit_code, output) == (1, f"TAMPERED inclusion {about}\n")


def test_json_says_the_same(event: str) -> None:
    good = run(["event", event, PROOF, "--key", vkey(), "--json"])
    bad = run(["event", event, PROOF, "--key", vkey("next_key"), "--json"])

    assert good == (
        0,
        '{"result": "ok", "about": "leaf 11 of 280 in ds.example.org/api/v1/audit/ledger"}\n',
    )
    assert bad[0] == 1
    assert bad[1].startswith('{"result": "TAMPERED", "word": "signature", "about": "no given key signed ')


@pytest.mark.parametrize("proof", [PROOF, RECEIPT])
def test_every_changed_bit_of_an_event_is_noticed(files: Files, proof: str) -> None:
    text = texts()[11]

    for place in range(0, len(text), 7):
        changed = bytearray(text)
        changed[place] ^= 1
        assert run(["event", str(files.write(bytes(changed))), proof, "--key", vkey()])[0] == 1, place


@pytest.mark.parametrize(
    ("proof", "unsigned"),
    # A receipt signs the root and not the size of its tree, whose last byte is this one.
    [("proofs/11.tlog-proof", set()), ("proofs/11.cose", {69})],
)
def test_no_changed_bit_of_a_proof_is_overlooked(
    files: Files, event: str, proof: str, unsigned: set[int]
) -> None:
    data = content(proof)

    for place in set(range(len(data))) - unsigned:
        changed = bytearray(data)
        changed[place] ^= 1
        assert run(["event", event, str(files.write(bytes(changed))), "--key", vkey()])[0] in {1, 2}, place


def test_one_line_feed_at_the_end_of_an_event_is_dropped_and_no_second(files: Files) -> None:
    one, two = (str(files.write(texts()[11] + end)) for end in (b"\n", b"\n\n"))

    assert run(["event", one, PROOF, "--key", vkey()])[0] == 0
    assert run(["event", two, PROOF, "--key", vkey()])[0] == 1


def test_keys_come_from_a_file_too(files: Files, event: str) -> None:
    keys = str(files.write(f"# keys of the log\n{vkey('next_key')}\n\n{vkey()}\n".encode()))

    assert run(["event", event, PROOF, "--key", keys])[0] == 0


def test_receipt_has_no_cosignatures(event: str) -> None:
    exit_code, output = run(["event", event, RECEIPT, "--key", vkey(), "--witness", vkey("witness")])

    assert exit_code == 3
    assert output == "incomplete witness 0 known witnesses cosigned, wanted are 1\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--key", "nonsense"], "a vkey is <name>+<8 hex digits>+<base64>"),
        (["--key", "/dev/null/x"], "a vkey is"),
        (["--key", vkey(), "--quorum", "1"], "only 0 witnesses are given"),
        (["--key", vkey(), "--quorum", "0"], "0 is not in the range"),
        ([], "Missing option '--key'"),
    ],
)
def test_wrong_usage_exits_with_two(event: str, arguments: list[str], message: str) -> None:
    exit_code, output = run(["event", event, PROOF, *arguments])

    assert exit_code == 2
    assert message in output


def test_file_that_is_no_proof_is_wrong_usage(event: str) -> None:
    exit_code, output = run(["event", event, event, "--key", vkey()])

    assert exit_code == 2
    assert "not a receipt" in output
