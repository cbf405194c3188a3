"""Waiting for conditions, never for time to pass."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], bool], timeout_seconds: float = 20) -> None:
    """Return as soon as ``condition`` holds; fail when it does not in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)
