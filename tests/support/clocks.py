"""Clocks that tests set."""

from datetime import datetime


class Seconds:
    """A clock that stands until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class SetClock:
    """A clock of the wall, which shows what it is told."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now
