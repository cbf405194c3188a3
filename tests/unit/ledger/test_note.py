import pytest

from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.note import Note
from tests.support.ledger_vectors import content

GOOD = content("checkpoints/1.txt")
LINE = GOOD.splitlines(keepends=True)[-1]


def test_note_is_read_and_written_the_same() -> None:
    assert str(Note.of(GOOD)).encode() == GOOD


def test_sixteen_signatures_are_read_and_seventeen_refused() -> None:
    assert len(Note.of(GOOD + LINE * 15).signatures) == 16
    with pytest.raises(MalformedEvidence, match="more than 16"):
        Note.of(GOOD + LINE * 16)


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"\n\n" + LINE,
        GOOD.removesuffix(b"\n"),
        GOOD + b"\n",
        GOOD.replace("\N{EM DASH} ".encode(), b"- "),
        GOOD.replace(b"ledger ", b"ledger"),
        GOOD.replace(b"\n1\n", b"\n1\r\n"),
        GOOD.replace(b"ds.", b"\xff."),
        b"text\n\n\xe2\x80\x94 name AAAA\n",
        b"text\n\n\xe2\x80\x94 name !!!!\n",
    ],
)
def test_what_is_no_signed_note_is_refused(note: bytes) -> None:
    with pytest.raises(MalformedEvidence):
        Note.of(note)
