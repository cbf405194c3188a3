"""Who was promised what: every answer of every client, to be compared with the database."""

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from sqlalchemy import Connection, select

from datastorage.tables import audit_events

ACKNOWLEDGED = frozenset({200, 201, 202})
NO_ANSWER = 0
"""Status of a request whose connection broke: stored or not, nobody was promised anything."""

Event = dict[str, Any]
Span = tuple[float, float]
"""From when until when, in seconds that never jump."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison found; ``lost`` and ``duplicated`` must be 0."""

    requests: int
    answered_201: int
    answered_202: int
    answered_503: int
    no_answer: int
    other: int
    lost: int
    duplicated: int
    refused_but_stored: int
    """Answered 503 although the record is there: the outcome of a commit, or of queueing, was unknown."""
    unexplained: int
    """Those of them that were not under way while a server was being cut off."""
    given_up: int
    """Became dead letters and were brought back as an operator would; counts as kept if stored then."""
    slowest_seconds: float
    """The longest wait for an answer."""


class Ledger:
    """Collects one status per event id."""

    def __init__(self, correlation_id: str) -> None:
        self.correlation_id = correlation_id
        self.cuts: list[Span] = []
        """When servers were cut off in mid-answer."""
        self._lock = Lock()
        self._statuses: dict[str, int] = {}
        self._spans: dict[str, Span] = {}
        self._unacknowledged: dict[str, Event] = {}
        self._requests = 0
        self._slowest_seconds = 0.0
        self._waits: list[Span] = []

    def note(self, events: Sequence[Event], status: int, started: float) -> None:
        """Remember the one answer that these events got just now, and how long it took."""
        span = started, time.monotonic()
        by_id = {event["event_id"]: event for event in events}
        with self._lock:
            self._requests += 1
            self._slowest_seconds = max(self._slowest_seconds, span[1] - span[0])
            self._statuses |= dict.fromkeys(by_id, status)
            if status not in ACKNOWLEDGED:
                self._unacknowledged |= by_id
                self._spans |= dict.fromkeys(by_id, span)

    def time(self, started: float) -> None:
        """Remember how long an innocent client has waited for the answer that it got just now."""
        self._waits.append((started, time.monotonic()))

    def p99_ms(self, since: float, until: float) -> float:
        """Return the p99 of the waits that began in that time."""
        waits = [(ended - began) * 1000 for began, ended in self._waits if since <= began < until]
        return round(statistics.quantiles(waits, n=100, method="inclusive")[98], 1)

    def answered(self, *statuses: int) -> int:
        """Return how many events were answered with one of ``statuses`` so far."""
        with self._lock:
            return sum(status in statuses for status in self._statuses.values())

    @property
    def slowest_seconds(self) -> float:
        """The longest wait for an answer so far."""
        return self._slowest_seconds

    def unacknowledged(self) -> Iterator[Event]:
        """Yield what clients still hold: nobody has promised them anything."""
        yield from self._unacknowledged.values()

    def compare(self, connection: Connection, *, given_up: int = 0) -> Verdict:
        """Compare every promise with the rows of the database."""
        stored = self._rows(connection)
        by_status = Counter(self._statuses.values())
        listed = {201, 202, 503, 200, NO_ANSWER}
        refused = [i for i, status in self._statuses.items() if status == 503 and stored[i]]
        return Verdict(
            requests=self._requests,
            answered_201=by_status[201] + by_status[200],
            answered_202=by_status[202],
            answered_503=by_status[503],
            no_answer=by_status[NO_ANSWER],
            other=sum(number for status, number in by_status.items() if status not in listed),
            lost=sum(1 for i, status in self._statuses.items() if status in ACKNOWLEDGED and not stored[i]),
            duplicated=sum(1 for number in stored.values() if number > 1),
            refused_but_stored=len(refused),
            unexplained=sum(1 for i in refused if not self._was_cut(*self._spans[i])),
            given_up=given_up,
            slowest_seconds=round(self._slowest_seconds, 2),
        )

    def count_unsettled(self, connection: Connection) -> int:
        """Return how many of all events are not stored exactly once, now that clients have sent again."""
        stored = self._rows(connection)
        return sum(1 for event_id in self._statuses if stored[event_id] != 1)

    def _rows(self, connection: Connection) -> Counter[str]:
        ids = select(audit_events.c.event_id).where(audit_events.c.correlation_id == self.correlation_id)
        stored = Counter(str(event_id) for event_id in connection.execute(ids).scalars())
        unknown = set(stored) - set(self._statuses)
        assert not unknown, f"rows that nobody sent: {unknown}"
        return stored

    def _was_cut(self, started: float, finished: float) -> bool:
        return any(begin <= finished and started <= end for begin, end in self.cuts)
