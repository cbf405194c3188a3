"""Workers share new connections evenly: one that has more than another lets that one accept first.

Every worker waits at the same listening sockets, and one that is already awake accepts a whole burst before
another gets the processor. A kept-alive connection stays with its worker, so one interpreter would then do
nearly all the work while another is idle. Decision 0015 has the alternatives.
"""

import mmap
import time
from collections.abc import Callable, Iterable
from itertools import count
from typing import Final

PLACES: Final = 256
"""Beyond this many workers at once, old ones of a reload included, the others share the last place."""
NAP_SECONDS: Final = 0.0002
NAPS: Final = 5
"""Together a millisecond: a worker that is alone, stopped or stuck delays a new connection no longer."""
TOLERATED: Final = 8
"""A worker naps only when it has over an eighth more: a burst comes faster than workers can take turns."""


class Share:
    """The number of connections of one worker, beside those of the others.

    Args:
        numbers: one for each worker: 0 if it accepts nothing, otherwise its open connections plus one.
        place: index of its own number.
    """

    def __init__(self, numbers: memoryview, place: int) -> None:
        self.place = place
        self._numbers = numbers

    def tell(self, open_connections: int) -> None:
        """Show how many connections this worker has, and that it accepts more."""
        self._numbers[self.place] = open_connections + 1

    def withdraw(self) -> None:
        """Show that this worker accepts nothing, so that the others do not wait for it."""
        self._numbers[self.place] = 0

    def let_others_go_first(self, is_still_there: Callable[[], bool]) -> None:
        """Wait a moment for a worker with fewer connections to accept the one that is queued."""
        for _ in range(NAPS):
            if not self._is_large():
                return
            time.sleep(NAP_SECONDS)  # no descriptor tells that another worker has accepted
            if not is_still_there():
                return

    def _is_large(self) -> bool:
        least: int = min(filter(None, self._numbers), default=1)
        return bool(self._numbers[self.place] > least + (least - 1) // TOLERATED)


class Shares:
    """The numbers of all workers, in memory that is made before the first fork and shared by all."""

    def __init__(self) -> None:
        self._numbers = memoryview(mmap.mmap(-1, PLACES * 2)).cast("H")

    def another(self, taken: Iterable[Share]) -> Share:
        """Return the share of a worker that is about to be forked, beside those that are alive."""
        places = {share.place for share in taken}
        free = next(place for place in count() if place not in places)
        share = Share(self._numbers, min(free, PLACES - 1))
        share.withdraw()
        return share
