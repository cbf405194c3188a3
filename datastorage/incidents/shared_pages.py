"""Counted pages of one filter share a transaction when they are asked for at the same time.

An exact count reads an index from end to end: with a million incidents many clients at once would wait for
each other's processor time. So while one count of a filter runs, requests about the same filter gather, and
the next transaction counts once and reads a page for each of them.

The promise of a page stays as it is: it agrees with its total, and shows everything that was committed
before its request came. A request is only ever answered from a transaction that began after it.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from copy import copy
from dataclasses import dataclass, field
from threading import Condition, Event

from datastorage.incidents.model import FoundRows, PageRequest
from datastorage.platform.clock import monotonic_seconds

LONGEST_WAIT_SECONDS = 0.5
"""For the transaction before; whoever has waited that long goes on beside it."""
MOST_PAGES = 8
"""Different pages of one transaction: they are read one after another, within one time limit."""

FindPages = Callable[[Sequence[PageRequest], float], list[FoundRows]]
"""Reads pages of one filter in one transaction; its clients have waited for so many seconds already."""


@dataclass(slots=True, eq=False)
class _Gathering:
    """Requests of one filter that one transaction will answer; whoever came first leads."""

    pages: dict[Hashable, PageRequest] = field(default_factory=dict)
    found: dict[Hashable, FoundRows] = field(default_factory=dict)
    error: BaseException | None = None
    is_over: Event = field(default_factory=Event)


class SharedPages:
    """Finds counted pages for the requests of one process.

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

    def find(self, wanted: PageRequest) -> FoundRows:
        """Return one page and its total.

        Raises:
            DatabaseError: classified.
        """
        topic, place = wanted.filter.key, wanted.place
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
            return gathering, leads

    def _lead(self, topic: Hashable, gathering: _Gathering) -> None:
        waited_seconds = self._wait_for_turn(topic, gathering)
        try:
            found = self._find_pages(list(gathering.pages.values()), waited_seconds)
            gathering.found = dict(zip(gathering.pages, found, strict=True))
        except BaseException as error:
            gathering.error = error
            raise
        finally:
            self._end_turn(topic)
            gathering.is_over.set()

    def _wait_for_turn(self, topic: Hashable, gathering: _Gathering) -> float:
        """Wait until no count of this filter runs; from then on nobody joins."""
        came = monotonic_seconds()
        with self._changed:
            self._changed.wait_for(lambda: topic not in self._running, self._longest_wait_seconds)
            self._running[topic] += 1
            if self._open.get(topic) is gathering:
                del self._open[topic]
        return monotonic_seconds() - came

    def _end_turn(self, topic: Hashable) -> None:
        with self._changed:
            self._running[topic] -= 1
            if not self._running[topic]:
                del self._running[topic]
            self._changed.notify_all()
