"""Receipts of RFC 9942: the same proof as ``COSE_Sign1``, for tools of SCITT.

The payload, which is the root of the tree, is detached: whoever checks a receipt computes the root from the
leaf and the path, and then the signature over it. So a wrong path and a wrong signature look alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeVar

import cbor2

from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.keys import SigningKey, VerifierKey
from datastorage.ledger.proof import MAX_PATH
from datastorage.ledger.tree import HASH_BYTES

T = TypeVar("T")

_SIGN1_TAG: Final = 18
_ALGORITHM, _KEY_ID, _CLAIMS, _DATA_STRUCTURE, _PROOFS = 1, 4, 15, 395, 396
_EDDSA: Final = -8
_RFC9162_SHA256: Final = 1
_ISSUER: Final = 1
_INCLUSION: Final = -1


@dataclass(frozen=True, slots=True)
class Receipt:
    """An inclusion proof with the signature of the root it leads to; nothing is checked yet."""

    protected: bytes
    key_id: bytes
    origin: str
    size: int
    index: int
    path: tuple[bytes, ...]
    signature: bytes

    def encoded(self) -> bytes:
        """Return the receipt as it is served."""
        proof = cbor2.dumps([self.size, self.index, list(self.path)])
        unprotected = {_PROOFS: {_INCLUSION: [proof]}}
        return cbor2.dumps(cbor2.CBORTag(_SIGN1_TAG, [self.protected, unprotected, None, self.signature]))

    def is_signed(self, root: bytes, keys: Sequence[VerifierKey]) -> bool:
        """Return whether one of ``keys`` signed ``root`` as that of the tree of its name."""
        message = _signed_bytes(self.protected, root)
        return any(
            key.verifies(message, self.signature)
            for key in keys
            if (key.name, key.key_id) == (self.origin, self.key_id)
        )

    @classmethod
    def signed(cls, key: SigningKey, place: tuple[int, int], path: Sequence[bytes], root: bytes) -> Self:
        """Return the receipt of the leaf at ``place``, an index in a tree of a size."""
        index, size = place
        name, key_id = key.verifier.name, key.verifier.key_id
        protected = cbor2.dumps(
            {_ALGORITHM: _EDDSA, _KEY_ID: key_id, _CLAIMS: {_ISSUER: name}, _DATA_STRUCTURE: _RFC9162_SHA256}
        )
        signature = key.sign(_signed_bytes(protected, root))
        return cls(protected, key_id, name, size, index, tuple(path), signature)

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Read a receipt.

        Raises:
            MalformedEvidence: it is none, or of another algorithm or kind of tree.
        """
        try:
            return cls._read(data)
        except (cbor2.CBORError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise MalformedEvidence("not a receipt of Ed25519 with one path in an RFC 9162 tree") from error

    @classmethod
    def _read(cls, data: bytes) -> Self:
        message = _a(cbor2.CBORTag, cbor2.loads(data))
        protected, unprotected, payload, signature = message.value
        head = cbor2.loads(_a(bytes, protected))
        (inclusion,) = unprotected[_PROOFS][_INCLUSION]
        size, index, path = cbor2.loads(_a(bytes, inclusion))
        kinds = (message.tag, head[_ALGORITHM], head[_DATA_STRUCTURE], payload)
        if kinds != (_SIGN1_TAG, _EDDSA, _RFC9162_SHA256, None):
            raise ValueError("another kind of receipt")
        hashes = tuple(_a(bytes, each) for each in path)
        if len(hashes) > MAX_PATH or any(len(each) != HASH_BYTES for each in hashes):
            raise ValueError("no path of hashes")
        return cls(
            protected,
            _a(bytes, head[_KEY_ID]),
            _a(str, head[_CLAIMS][_ISSUER]),
            _a(int, size),
            _a(int, index),
            hashes,
            _a(bytes, signature),
        )


def _a(kind: type[T], value: object) -> T:
    """Return ``value`` as what it is; a boolean is no number."""
    if type(value) is not kind:
        raise TypeError(f"not a {kind.__name__}")
    return value


def _signed_bytes(protected: bytes, root: bytes) -> bytes:
    """Return the ``Sig_structure`` of RFC 9052, section 4.4."""
    return cbor2.dumps(["Signature1", protected, b"", root])
