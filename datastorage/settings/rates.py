"""A rate: so many in so many seconds."""

import re
from dataclasses import dataclass
from typing import Final

from marshmallow import ValidationError

_UNITS: Final = {"second": 1, "minute": 60}
_RATE = re.compile(r"([1-9][0-9]{0,8})/(second|minute)")


@dataclass(frozen=True, slots=True)
class Rate:
    """``amount`` requests in ``seconds``."""

    amount: int
    seconds: int


def parse_rate(text: str) -> Rate:
    """Read ``10/second`` or ``600/minute``.

    Raises:
        ValidationError: the text is no rate.
    """
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValidationError("must be off, or a number per second or minute, such as 600/minute")
    return Rate(int(found[1]), _UNITS[found[2]])
