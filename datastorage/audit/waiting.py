"""Writes whose clients would like to wait for the leaves of their events: ``Prefer: wait=N``, ledger.md 4."""

import re
import time
from collections.abc import Callable, Sequence
from threading import BoundedSemaphore
from typing import Final
from uuid import UUID

from datastorage.errors import DatabaseError
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.web.preferences import preference
from datastorage.platform.web.replies import Headers

MOST_SECONDS: Final = 10
POLL_SECONDS: Final = 0.05
APPLIED: Final = "Preference-Applied"

_SECONDS: Final = re.compile("0*[1-9][0-9]{0,8}")


class LeafWaits:
    """Lets some requests of a worker wait.

    Args:
        are_proved: tells whether events have leaves that a signed checkpoint covers.
        most: requests that may wait at a time; each holds a thread.
        is_ending: whether the process is, so that nobody waits any more.
    """

    def __init__(
        self, are_proved: Callable[[Sequence[UUID]], bool], *, most: int, is_ending: Callable[[], bool]
    ) -> None:
        self._are_proved = are_proved
        self._places = BoundedSemaphore(most) if most else None
        self._is_ending = is_ending

    def headers(self, prefer: str, event_ids: Sequence[UUID]) -> Headers:
        """Wait as ``prefer`` asks, and return the headers that say so; none when it was in vain."""
        wanted = preference(prefer, "wait")
        if wanted is None or not _SECONDS.fullmatch(wanted):
            return []
        seconds = min(int(wanted), MOST_SECONDS)
        if self._places is None or not self._places.acquire(blocking=False):
            return []
        try:
            is_proved = self._wait(seconds, event_ids)
        except DatabaseError:
            return []  # the events are stored; only nobody can tell how far they are
        finally:
            self._places.release()
        if not is_proved:
            return []
        headers = [(APPLIED, f"wait={wanted}")]
        if len(event_ids) == 1:
            headers.append(("Link", f'</api/v1/audit/events/{event_ids[0]}/proof>; rel="proof"'))
        return headers

    def _wait(self, seconds: int, event_ids: Sequence[UUID]) -> bool:
        deadline = monotonic_seconds() + seconds
        while not self._is_ending():
            if self._are_proved(event_ids):
                return True
            if monotonic_seconds() + POLL_SECONDS > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return False
