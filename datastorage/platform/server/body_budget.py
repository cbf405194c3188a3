"""How much of a worker's memory request bodies may take."""

from typing import Final

SMALL_BODY_BYTES: Final = 64 * 1024


class BodyBudget:
    """Bytes of bodies that are arriving or worked on, in one worker.

    A quarter of ``total_bytes`` is reserved for small bodies, so that large batches never delay single
    events.
    """

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self.in_flight_bytes = 0

    def take(self, body_bytes: int) -> bool:
        """Reserve room for a body; return whether there was enough."""
        is_small = body_bytes <= SMALL_BODY_BYTES
        limit = self._total_bytes if is_small else self._total_bytes * 3 // 4
        if self.in_flight_bytes + body_bytes > limit:
            return False
        self.in_flight_bytes += body_bytes
        return True

    def give_back(self, body_bytes: int) -> None:
        """Release the room of a body."""
        self.in_flight_bytes -= body_bytes
