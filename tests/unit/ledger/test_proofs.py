import cbor2
import pytest
import scitt_cose

from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.note import Note
from datastorage.ledger.proof import Proof
from datastorage.ledger.receipt import Receipt
from datastorage.ledger.tree import inclusion_path, root_of_path
from tests.support.ledger_vectors import (
    SIZE,
    content,
    document,
    key,
    leaf_hashes,
    leaves,
    signing_key,
    subtrees,
)

INDICES = [0, 11, 15, 255, 256, 279]
RECEIPTS = [11, 279]
ROOT = bytes.fromhex(document("roots.json")[str(SIZE)])


def path_of(index: int) -> tuple[bytes, ...]:
    return tuple(inclusion_path(index, SIZE, subtrees()))


@pytest.mark.parametrize("index", INDICES)
def test_text_proof_is_the_golden_one_byte_for_byte(index: int) -> None:
    proof = Proof(index, path_of(index), Note.of(content("checkpoints/280.txt")))

    assert str(proof).encode() == content(f"proofs/{index}.tlog-proof")
    assert Proof.of(content(f"proofs/{index}.tlog-proof")) == proof


def test_proof_in_a_tree_of_one_leaf_has_no_hashes() -> None:
    golden = content("proofs/first-of-one.tlog-proof")

    assert Proof.of(golden).path == ()
    assert str(Proof.of(golden)).encode() == golden


def test_extra_line_of_a_proof_is_skipped() -> None:
    golden = content("proofs/11.tlog-proof")

    assert Proof.of(golden.replace(b"\nindex", b"\nextra AAAA\nindex")) == Proof.of(golden)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"@v1", b"@v2"),
        (b"index 11\n", b""),
        (b"index 11\n", b"index -1\n"),
        (b"index 11\n", b"index 011\n"),
        (b"index 11\n", b"index 11\nAAAA\n"),
        (b"\n\n", b"\n"),
        (b"index", "ìndex".encode()),
    ],
)
def test_what_is_no_text_proof_is_refused(old: bytes, new: bytes) -> None:
    with pytest.raises(MalformedEvidence):
        Proof.of(content("proofs/11.tlog-proof").replace(old, new))


@pytest.mark.parametrize("index", RECEIPTS)
def test_receipt_is_the_golden_one_byte_for_byte(index: int) -> None:
    receipt = Receipt.signed(signing_key(), (index, SIZE), path_of(index), ROOT)

    assert receipt.encoded() == content(f"proofs/{index}.cose")
    assert Receipt.of(content(f"proofs/{index}.cose")) == receipt


@pytest.mark.parametrize("index", RECEIPTS)
def test_receipt_is_signed_by_its_key_and_no_other(index: int) -> None:
    receipt = Receipt.of(content(f"proofs/{index}.cose"))
    root = root_of_path(receipt.index, receipt.size, leaf_hashes()[index], receipt.path)

    assert receipt.is_signed(root, [key("next_key"), key()])
    assert not receipt.is_signed(root, [key("next_key")])
    assert not receipt.is_signed(bytes(32), [key()])


def test_scitt_cose_accepts_our_receipt_and_refuses_it_for_another_leaf() -> None:
    receipt = Receipt.signed(signing_key(), (42, SIZE), path_of(42), ROOT).encoded()

    good, bad = (
        scitt_cose.verify_receipt(receipt, leaf_entry_hex=leaf.hex(), log_public_key_pem=key().pem)
        for leaf in leaves()[42:44]
    )

    assert good.ok, good.errors
    assert not bad.ok


def golden_message() -> list[object]:
    return list(cbor2.loads(content("proofs/11.cose")).value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        cbor2.dumps(golden_message()),
        cbor2.dumps(cbor2.CBORTag(17, golden_message())),
        cbor2.dumps(cbor2.CBORTag(18, golden_message()[:3])),
        cbor2.dumps(cbor2.CBORTag(18, [golden_message()[0], {}, None, b""])),
        cbor2.dumps(cbor2.CBORTag(18, [golden_message()[0], golden_message()[1], ROOT, b""])),
        cbor2.dumps(cbor2.CBORTag(18, [7, golden_message()[1], None, b""])),
        cbor2.dumps(cbor2.CBORTag(18, [golden_message()[0], golden_message()[1], None, "text"])),
        cbor2.dumps(
            cbor2.CBORTag(18, [golden_message()[0], {396: {-1: [cbor2.dumps([True, 0, []])]}}, None, b""])
        ),
        cbor2.dumps(
            cbor2.CBORTag(
                18, [golden_message()[0], {396: {-1: [cbor2.dumps([1, 0, [b"short"]])]}}, None, b""]
            )
        ),
    ],
)
def test_what_is_no_receipt_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedEvidence):
        Receipt.of(data)
