"""One text and its proof: is the leaf of exactly these bytes in the signed tree?"""

from collections.abc import Sequence
from typing import Final

from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.keys import VerifierKey
from datastorage.ledger.leaf import leaf_of
from datastorage.ledger.proof import FIRST_LINE, Proof
from datastorage.ledger.receipt import Receipt
from datastorage.ledger.tree import leaf_hash, root_of_path
from datastorage.verification.doubts import Tampered, Word
from datastorage.verification.signatures import Witnesses, signed_checkpoint

_NO_WITNESSES: Final = Witnesses()


def verify_event(
    text: bytes, proof: Proof | Receipt, keys: Sequence[VerifierKey], witnesses: Witnesses = _NO_WITNESSES
) -> str:
    """Return where the text of an event or a statement is; one line feed at its end is dropped.

    Raises:
        Tampered: text, proof and keys do not belong together.
        Incomplete: too few witnesses cosigned.
    """
    hashed = _leaf_hash(text.removesuffix(b"\n"))
    if isinstance(proof, Receipt):
        return _verify_receipt(hashed, proof, keys, witnesses)
    return _verify_proof(hashed, proof, keys, witnesses)


def proof_of(data: bytes) -> Proof | Receipt:
    """Read a proof in either format.

    Raises:
        MalformedEvidence: it is neither.
    """
    return Proof.of(data) if data.startswith(FIRST_LINE.encode()) else Receipt.of(data)


def _leaf_hash(text: bytes) -> bytes:
    try:
        return leaf_hash(leaf_of(text).encoded())
    except MalformedEvidence as error:
        # An edit may leave anything behind, so this is no mistake of whoever checks.
        raise Tampered(Word.INCLUSION, f"no leaf has this text: {error}") from error


def _verify_proof(hashed: bytes, proof: Proof, keys: Sequence[VerifierKey], witnesses: Witnesses) -> str:
    checkpoint = signed_checkpoint(proof.checkpoint, keys)
    names = witnesses.names_below(proof.checkpoint)
    if _root(proof.index, checkpoint.size, hashed, proof.path) != checkpoint.root:
        about = (
            f"the text and the path of leaf {proof.index} do not lead to the root of size {checkpoint.size}"
        )
        raise Tampered(Word.INCLUSION, about)
    witnesses.require_enough(names)
    return f"leaf {proof.index} of {checkpoint.size} in {checkpoint.origin}"


def _verify_receipt(
    hashed: bytes, receipt: Receipt, keys: Sequence[VerifierKey], witnesses: Witnesses
) -> str:
    root = _root(receipt.index, receipt.size, hashed, receipt.path)
    if not receipt.is_signed(root, keys):
        about = f"no given key signed the root to which text and path of leaf {receipt.index} lead"
        raise Tampered(Word.SIGNATURE, about)
    witnesses.require_enough(set())  # a receipt has no place for cosignatures
    # Only the root is signed: the size that a receipt names is a hint.
    return f"leaf {receipt.index} in {receipt.origin}"


def _root(index: int, size: int, hashed: bytes, path: Sequence[bytes]) -> bytes:
    try:
        return root_of_path(index, size, hashed, path)
    except MalformedEvidence as error:
        raise Tampered(Word.INCLUSION, str(error)) from error
