"""Who was promised what: every answer of every client, to be compared with the database."""

from collections import Counter
from dataclasses import dataclass
from threading import Lock

from sqlalchemy import Connection, select

from datastorage.tables import audit_events

ACKNOWLEDGED = frozenset({200, 201, 202})
NO_ANSWER = 0
"""Status of a request whose connection broke: stored or not, nobody was promised anything."""


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
    given_up: int
    """Became dead letters and were brought back as an operator would; counts as kept if stored then."""
    slowest_seconds: float
    """The longest wait for an answer."""


class Ledger:
    """Collects one status per event id."""

    def __init__(self, correlation_id: str) -> None:
        self.correlation_id = correlation_id
        self._lock = Lock()
        self._statuses: dict[str, int] = {}
        self._requests = 0
        self._slowest_seconds = 0.0

    def note(self, event_ids: list[str], status: int, seconds: float) -> None:
        """Remember the one answer that these events got, and how long it took."""
        with self._lock:
            self._requests += 1
            self._slowest_seconds = max(self._slowest_seconds, seconds)
            self._statuses |= dict.fromkeys(event_ids, status)

    def compare(self, connection: Connection, *, given_up: int = 0) -> Verdict:
        """Compare every promise with the rows of the database."""
        ids = select(audit_events.c.event_id).where(audit_events.c.correlation_id == self.correlation_id)
        stored = Counter(str(event_id) for event_id in connection.execute(ids).scalars())
        unknown = set(stored) - set(self._statuses)
        assert not unknown, f"rows that nobody sent: {unknown}"
        by_status = Counter(self._statuses.values())
        listed = {201, 202, 503, 200, NO_ANSWER}
        return Verdict(
            requests=self._requests,
            answered_201=by_status[201] + by_status[200],
            answered_202=by_status[202],
            answered_503=by_status[503],
            no_answer=by_status[NO_ANSWER],
            other=sum(number for status, number in by_status.items() if status not in listed),
            lost=sum(1 for i, status in self._statuses.items() if status in ACKNOWLEDGED and not stored[i]),
            duplicated=sum(1 for number in stored.values() if number > 1),
            refused_but_stored=sum(1 for i, status in self._statuses.items() if status == 503 and stored[i]),
            given_up=given_up,
            slowest_seconds=round(self._slowest_seconds, 2),
        )
