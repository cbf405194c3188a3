import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.keys import Algorithm, SigningKey, VerifierKey, is_key_name
from tests.support.ledger_vectors import document, key, signing_key

KEYS = document("keys.json")
VKEY = KEYS["key"]["vkey"]


@pytest.mark.parametrize("which", ["key", "next_key"])
def test_private_key_has_the_golden_vkey_and_pem(which: str) -> None:
    verifier = signing_key(which).verifier

    assert verifier.vkey == KEYS[which]["vkey"]
    assert verifier.pem == KEYS[which]["public_pem"]
    assert verifier == key(which)


def test_vkey_of_a_witness_is_read_and_written_the_same() -> None:
    witness = key("witness")

    assert witness.algorithm is Algorithm.COSIGNATURE
    assert witness.vkey == KEYS["witness"]["vkey"]


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        VKEY.replace("df12b0a3", "df12b0a4"),
        VKEY.replace("df12b0a3", "DF12B0A3"),
        VKEY.replace("ds.example.org", "ds.example.com"),
        VKEY[:-4],
        VKEY + "A",
        VKEY.replace("+AQ", "+Ag"),
        "+df12b0a3+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "a b" + VKEY,
    ],
)
def test_what_is_no_vkey_is_refused(vkey: str) -> None:
    with pytest.raises(MalformedEvidence):
        VerifierKey.of(vkey)


def test_private_key_of_another_kind_is_refused() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    with pytest.raises(MalformedEvidence, match="not an Ed25519 key"):
        SigningKey.of_pem("name", pem)


def test_file_that_is_no_key_is_refused() -> None:
    with pytest.raises(MalformedEvidence, match="not a private key"):
        SigningKey.of_pem("name", b"hello")


def test_private_key_is_not_shown() -> None:
    secret = KEYS["key"]["private_pem"].splitlines()[1]

    assert secret not in repr(signing_key())
    assert not any(secret in repr(value) for value in vars(signing_key()).values())


@pytest.mark.parametrize(
    ("name", "expected"), [("a/b", True), ("", False), ("a b", False), ("a+b", False), ("a\nb", False)]
)
def test_names_have_no_white_space_and_no_plus_sign(name: str, *, expected: bool) -> None:
    assert is_key_name(name) is expected
