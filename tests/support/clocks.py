"""Clocks that tests set."""


class Seconds:
    """A clock that stands until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now
