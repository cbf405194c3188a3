"""What a check may end with, other than well: evidence of tampering, or something that is missing.

Doubt
├── Tampered      the evidence contradicts itself
└── Incomplete    something needed is not there or not reachable
"""

from enum import StrEnum
from typing import ClassVar


class Word(StrEnum):
    """What is wrong, in one word."""

    DIGEST = "digest"
    INCLUSION = "inclusion"
    SIGNATURE = "signature"
    WITNESS = "witness"
    FORK = "fork"
    ROLLBACK = "rollback"
    TILE = "tile"
    ENTRY = "entry"
    MISSING = "missing"


class Doubt(Exception):
    """The evidence does not show what it should.

    Attributes:
        result: the first word of the output.
        exit_code: of the command.
        word: what is wrong.
        about: what it concerns.
    """

    result: ClassVar[str]
    exit_code: ClassVar[int]

    def __init__(self, word: Word, about: str) -> None:
        super().__init__(word, about)
        self.word = word
        self.about = about


class Tampered(Doubt):
    """Text, proof, tiles, signatures or older checkpoints contradict each other."""

    result = "TAMPERED"
    exit_code = 1


class Incomplete(Doubt):
    """Nothing is contradicted, and something is missing."""

    result = "incomplete"
    exit_code = 3
