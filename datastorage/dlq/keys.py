"""The Redis keys of the queue; part of the contract, dashboards and operators read them."""

from dataclasses import dataclass
from typing import Final

from datastorage.dlq.entry import Stream

FIELD: Final = b"message"
IDS_KEY: Final = "audit:dlq:events:ids"


@dataclass(frozen=True, slots=True)
class Keys:
    """Where one logical queue lives: the stream, its parked entries, its dead letters."""

    stream: str
    retry: str
    dead: str


KEYS: Final = {
    stream: Keys(f"audit:dlq:{stream}", f"audit:dlq:{stream}:retry", f"audit:dead-letter:{stream}")
    for stream in Stream
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One stream entry in our hands: ``fields`` as Redis has them, not judged yet.

    ``earlier_deliveries`` is how often it was in hands that never finished it: 0 for a new entry, 1 for
    one that was read together with others, and one more for each death while it alone was in work.
    """

    stream: Stream
    id: str
    fields: dict[bytes, bytes]
    earlier_deliveries: int = 0

    @property
    def is_suspect(self) -> bool:
        """Whether a process died while it worked on this very entry."""
        return self.earlier_deliveries > 1

    @property
    def message(self) -> bytes | None:
        """The JSON of the entry, if it has one."""
        return self.fields.get(FIELD)


@dataclass(frozen=True, slots=True)
class Levels:
    """How much lies where in one queue."""

    depth: int
    parked: int
    pending: int
    dead: int
