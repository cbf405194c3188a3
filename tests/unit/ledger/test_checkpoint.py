import pytest

from datastorage.ledger.checkpoint import Checkpoint, open_checkpoint
from datastorage.ledger.errors import MalformedEvidence, WrongSignature
from datastorage.ledger.note import Note
from tests.support.ledger_vectors import content, document, key, signing_key

ROOTS = document("roots.json")
ORIGIN = document("keys.json")["origin"]


@pytest.mark.parametrize("size", [1, 8, 256, 257, 279, 280])
def test_signed_checkpoint_is_the_golden_one_byte_for_byte(size: int) -> None:
    checkpoint = Checkpoint(ORIGIN, size, bytes.fromhex(ROOTS[str(size)]))

    assert str(checkpoint.signed([signing_key()])).encode() == content(f"checkpoints/{size}.txt")


def test_checkpoint_during_a_rotation_has_a_line_for_each_key() -> None:
    golden = content("checkpoints/280-two-keys.txt")
    checkpoint = Checkpoint(ORIGIN, 280, bytes.fromhex(ROOTS["280"]))

    assert str(checkpoint.signed([signing_key(), signing_key("next_key")])).encode() == golden
    for which in ("key", "next_key"):
        assert open_checkpoint(Note.of(golden), [key(which)]) == checkpoint


def test_cosigned_checkpoint_is_read_and_written_the_same() -> None:
    golden = content("checkpoints/280-cosigned.txt")
    note = Note.of(golden)

    assert str(note).encode() == golden
    assert open_checkpoint(note, [key()]).size == 280
    assert key("witness").signed(note.text, note.signatures[1])


def test_checkpoint_without_a_line_of_the_key_is_refused() -> None:
    with pytest.raises(WrongSignature, match="no given key signed"):
        open_checkpoint(Note.of(content("checkpoints/280.txt")), [key("next_key"), key("witness")])


def test_checkpoint_whose_text_was_changed_is_refused() -> None:
    note = Note.of(content("checkpoints/280.txt").replace(b"\n280\n", b"\n279\n"))

    with pytest.raises(WrongSignature, match="signed wrongly"):
        open_checkpoint(note, [key()])


def test_witness_alone_makes_no_checkpoint() -> None:
    note = Note.of(content("checkpoints/280-cosigned.txt"))

    with pytest.raises(WrongSignature):
        open_checkpoint(Note(note.text, note.signatures[1:]), [key("witness")])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        "\n1\nAAAA\n",
        "o\n01\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "o\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU\n",
        "o\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n",
        "o\n1\nAAAA\n",
        "o\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\nx\n",
        "o\n9223372036854775808\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
    ],
)
def test_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(MalformedEvidence):
        Checkpoint.of(text)


def test_extension_lines_are_allowed() -> None:
    text = "o\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nmore\n"

    assert Checkpoint.of(text).size == 1
