"""Work that must not end what goes on around it: the next round of a loop, the next step of a shutdown."""

from collections.abc import Callable


def failure_of(work: Callable[[], object]) -> Exception | None:
    """Run ``work`` and return what it raised, for the caller to log; ``None`` when it returned."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - the caller logs it and goes on
        return error
    return None
