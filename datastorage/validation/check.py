"""What a check is, and what can come of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from datastorage.validation.subject import Subject

Status = Literal["PASS", "FAIL", "SKIP"]
"""How a check ended."""


class Broken(Exception):
    """What a check examined is not as it should be.

    Attributes:
        repair: what to type or to change.
    """

    def __init__(self, fact: str, repair: str) -> None:
        super().__init__(fact)
        self.repair = repair


class NotApplicable(Exception):
    """There is nothing to examine on this machine; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One of the ten.

    Attributes:
        number: what ``--skip`` takes.
        title: what is examined.
        examine: returns what was measured, given the seconds it may take. Raises ``Broken``,
            ``NotApplicable``, or anything else when it failed itself.
        seconds: the most it may take.
        needs: checks that must not have failed before this one makes sense.
    """

    number: int
    title: str
    examine: Callable[[Subject, float], str]
    seconds: float
    needs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one check; ``repair`` is there when it failed."""

    check: Check
    status: Status
    text: str
    repair: str | None = None
