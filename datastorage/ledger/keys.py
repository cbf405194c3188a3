"""Keys of logs and of witnesses: Ed25519, in the one line (*vkey*) that verifiers are given, and as PEM.

A vkey is ``<name>+<key id, 8 hex digits>+<base64 of the algorithm's byte and the public key>``. The name of a
log's key is the log's origin.
"""

from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from datastorage.ledger.encoding import from_base64, to_base64
from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.note import KEY_ID_BYTES, Signature

_PUBLIC_KEY_BYTES: Final = 32
_TIME_BYTES: Final = 8


class Algorithm(IntEnum):
    """How a line of a note is signed."""

    ED25519 = 1
    COSIGNATURE = 4
    """A witness signs the time too: ``cosignature/v1`` of C2SP ``tlog-cosignature``."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name under which it signs."""

    name: str
    algorithm: Algorithm
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return sha256(self.name.encode() + b"\n" + self._typed).digest()[:KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The key as one line."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(self._typed)}"

    @property
    def pem(self) -> str:
        """The public key as PEM, for tools that know neither notes nor names."""
        key = Ed25519PublicKey.from_public_bytes(self.public_key)
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def _typed(self) -> bytes:
        return self.algorithm.to_bytes(1) + self.public_key

    @classmethod
    def of(cls, vkey: str) -> Self:
        """Read a vkey.

        Raises:
            MalformedEvidence: it is none, its id is not that of its key, or we do not know its algorithm.
        """
        name, plus, rest = vkey.partition("+")
        key_id, second_plus, encoded = rest.partition("+")
        if not plus or not second_plus or not is_key_name(name):
            raise MalformedEvidence("a vkey is <name>+<8 hex digits>+<base64>")
        typed = from_base64(encoded)
        if len(typed) != 1 + _PUBLIC_KEY_BYTES or typed[0] not in set(Algorithm):
            raise MalformedEvidence(f"the key of {name} is neither Ed25519 nor a witness's")
        key = cls(name, Algorithm(typed[0]), typed[1:])
        if key.key_id.hex() != key_id:
            raise MalformedEvidence(f"the key id of {name} is not that of its key")
        return key

    def made(self, signature: Signature) -> bool:
        """Return whether a line claims to be signed with this key."""
        return (signature.name, signature.key_id) == (self.name, self.key_id)

    def signed(self, text: str, signature: Signature) -> bool:
        """Return whether a line of the note of ``text`` is this key's, and good."""
        if not self.made(signature):
            return False
        if self.algorithm is Algorithm.ED25519:
            return self.verifies(text.encode(), signature.signature)
        time, signed = signature.signature[:_TIME_BYTES], signature.signature[_TIME_BYTES:]
        message = f"cosignature/v1\ntime {int.from_bytes(time)}\n{text}"
        return self.verifies(message.encode(), signed)

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Return whether the bare Ed25519 signature of ``message`` is this key's."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class SigningKey:
    """The private half of a log's key. It has no ``repr`` that shows it, and leaves this object never."""

    def __init__(self, name: str, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self.verifier = VerifierKey(name, Algorithm.ED25519, private_key.public_key().public_bytes_raw())

    @classmethod
    def of_pem(cls, name: str, pem: bytes) -> Self:
        """Read a key in PKCS#8.

        Raises:
            MalformedEvidence: it is none, or not one of Ed25519.
        """
        try:
            key = load_pem_private_key(pem, password=None)
        except (TypeError, ValueError, UnsupportedAlgorithm) as error:
            raise MalformedEvidence("not a private key in PEM without a password") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise MalformedEvidence("not an Ed25519 key")
        return cls(name, key)

    def sign(self, message: bytes) -> bytes:
        """Return the bare signature of ``message``."""
        return self._private_key.sign(message)

    def sign_note(self, text: str) -> Signature:
        """Return the line that stands below the note of ``text``."""
        return Signature(self.verifier.name, self.verifier.key_id, self.sign(text.encode()))


def is_key_name(name: str) -> bool:
    """Return whether keys and logs may have this name: no white space, no plus sign, nothing unprintable."""
    return bool(name) and "+" not in name and name.isprintable() and not any(map(str.isspace, name))
