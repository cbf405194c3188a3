"""Pages that are asked for at the same time share a transaction.

An exact count reads an index from end to end: with a million incidents many clients at once would wait for
each other's processor time. So while one count of a filter runs, requests about the same filter gather, and
the next transaction counts once and reads a page for each of them. Where nothing is counted only requests
for the very same page gather: to wait for another one would cost more than it saves.

The promise of a page stays as it is: it agrees with its total, and shows everything that was committed
before its request came. A request is only ever answered from a transaction that began after it.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from copy import copy
from dataclasses import dataclass, field
from math import inf
from threading import Condition, Event

from datastorage.incidents.reading.model import FoundPage, PageRequest
from datastorage.platform.clock import monotonic_seconds

LONGEST_WAIT_SECONDS = 0.5
"""For the transaction before; a request that has waited that long goes on beside it."""
MOST_PAGES = 8
"""Different pages of one transaction: they are read one after another, within one time limit."""

GATHERING_SHARE = 0.25
LONGEST_GATHERING_SECONDS = 0.05
"""After a transaction that several shared, the next one is put off for this share of the time it took: those
who were just answered ask again one after another, and the first of them would begin a count alone."""

FindPages = Callable[[Sequence[PageRequest], float], list[FoundPage]]
"""Reads pages of one filter in one transaction; its clients have waited for so many seconds already."""


@dataclass(slots=True, eq=False)
class _Gathering:
    """Requests that one transaction will answer; the first of them leads."""

    pages: dict[Hashable, PageRequest] = field(default_factory=dict)
    size: int = 0
    found: dict[Hashable, FoundPage] = field(default_factory=dict)
    error: BaseException | None = None
    is_over: Event = field(default_factory=Event)


class SharedPages:
    """Finds pages for the requests of one process.

    Args:
        find_pages: reads pages of one filter in one transaction.
        longest_wait_seconds: for the transaction before.
    """

    def __init__(self, find_pages: FindPages, *, longest_wait_seconds: float = LONGEST_WAIT_SECONDS) -> None:
        self._find_pages = find_pages
        self._longest_wait_seconds = longest_wait_seconds
        self._changed = Condition()
        self._open: dict[Hashable, _Gathering] = {}
        self._running: Counter[Hashable] = Counter()
        self._not_before: dict[Hashable, float] = {}

    def find(self, wanted: PageRequest) -> FoundPage:
        """Return one page, and its total if that is to be counted.

        Raises:
            DatabaseError: classified.
        """
        place = wanted.place
        wanted_rows = wanted.filter.conditions
        topic = wanted_rows if wanted.is_counted else (wanted_rows, place)
        gathering, leads = self._join(topic, place, wanted)
        if leads:
            self._lead(topic, gathering)
        else:
            gathering.is_over.wait()
            if gathering.error is not None:
                # A copy: each thread adds its own way up to what it raises.
                raise copy(gathering.error) from gathering.error
        return gathering.found[place]

    def _join(self, topic: Hashable, place: Hashable, wanted: PageRequest) -> tuple[_Gathering, bool]:
        with self._changed:
            gathering = self._open.get(topic)
            leads = gathering is None or (place not in gathering.pages and len(gathering.pages) >= MOST_PAGES)
            if gathering is None or leads:
                gathering = self._open[topic] = _Gathering()
            gathering.pages[place] = wanted
            gathering.size += 1
            return gathering, leads

    def _lead(self, topic: Hashable, gathering: _Gathering) -> None:
        came = monotonic_seconds()
        began = self._wait_for_turn(topic, gathering, came + self._longest_wait_seconds)
        try:
            found = self._find_pages(list(gathering.pages.values()), began - came)
            gathering.found = dict(zip(gathering.pages, found, strict=True))
        except BaseException as error:
            gathering.error = error
            raise
        finally:
            self._end_turn(topic, gathering, began)
            gathering.is_over.set()

    def _wait_for_turn(self, topic: Hashable, gathering: _Gathering, latest: float) -> float:
        """Wait until no transaction reads the same, and return the time; then the gathering is closed."""
        with self._changed:
            while (now := monotonic_seconds()) < (turn := min(latest, self._turn_of(topic))):
                self._changed.wait(turn - now)
            self._running[topic] += 1
            if self._open.get(topic) is gathering:
                del self._open[topic]
            return now

    def _turn_of(self, topic: Hashable) -> float:
        return inf if topic in self._running else self._not_before.get(topic, 0)

    def _end_turn(self, topic: Hashable, gathering: _Gathering, began: float) -> None:
        now = monotonic_seconds()
        with self._changed:
            self._running[topic] -= 1
            if not self._running[topic]:
                del self._running[topic]
            self._not_before = {key: time for key, time in self._not_before.items() if time > now}
            if gathering.size > 1:
                pause = min((now - began) * GATHERING_SHARE, LONGEST_GATHERING_SECONDS)
                self._not_before[topic] = now + pause
            self._changed.notify_all()
