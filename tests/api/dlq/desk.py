"""What tests of the queue look at: Redis as operators see it, rows as they were stored."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select, text

from datastorage.audit.event import to_payload
from datastorage.dlq.entry import Entry, EntryType
from datastorage.tables import audit_events, notification_audit
from tests.support.builders import an_audit_event, now
from tests.support.exposition import Scrape
from tests.support.http import Api
from tests.support.isolated import IsolatedService
from tests.support.waiting import eventually

if TYPE_CHECKING:
    import redis

EVENTS_KEY = "audit:dlq:events"
NOTIFICATIONS_KEY = "audit:dlq:notifications"
REPLAY_SECONDS = 35


class Desk:
    """The queue of one service and the tables behind it.

    Args:
        isolated: where the tables are.
        client: of the Redis that the service uses.
        api: of the service, that of ``isolated`` when absent.
    """

    def __init__(self, isolated: IsolatedService, client: "redis.Redis", api: Api | None = None) -> None:
        self._isolated = isolated
        self._api = api or isolated.api
        self.client = client

    def depth(self, key: str = EVENTS_KEY) -> int:
        """Return how many entries a stream has."""
        length: Any = self.client.xlen(key)
        return int(length)

    def depths(self) -> tuple[int, int]:
        """Return the depths of both streams, events first."""
        return self.depth(EVENTS_KEY), self.depth(NOTIFICATIONS_KEY)

    def parked(self, key: str = EVENTS_KEY) -> list[dict[str, Any]]:
        """Return the entries that wait for their backoff."""
        members: Any = self.client.zrange(f"{key}:retry", 0, -1)
        return [msgspec.json.decode(member) for member in members]

    def fields(self, key: str = EVENTS_KEY) -> list[dict[str, bytes]]:
        """Return the fields of every stream entry, as Redis has them."""
        found: Any = self.client.xrange(key)
        return [{name.decode(): value for name, value in fields.items()} for _id, fields in found]

    def entries(self, key: str = EVENTS_KEY) -> list[dict[str, Any]]:
        """Return the JSON of every stream entry."""
        return [msgspec.json.decode(fields["message"]) for fields in self.fields(key)]

    def entries_anywhere(self, key: str = EVENTS_KEY) -> list[dict[str, Any]]:
        """Return the JSON of every entry, waiting in the stream or parked."""
        return self.entries(key) + self.parked(key)

    def dead(self, key: str = EVENTS_KEY) -> list[dict[str, bytes]]:
        """Return the fields of every dead letter."""
        return self.fields(key.replace("audit:dlq:", "audit:dead-letter:"))

    def is_empty(self) -> bool:
        """Tell whether nothing is queued, parked or in the hands of a consumer."""
        keys = (EVENTS_KEY, NOTIFICATIONS_KEY)
        if any(self.depth(key) or self.parked(key) for key in keys):
            return False
        return all(self.pending(key) == 0 for key in keys)

    def pending(self, key: str = EVENTS_KEY) -> int:
        """Return how many entries some consumer has in its hands."""
        groups: Any = self.client.xinfo_groups(key) if self.client.exists(key) else []
        return sum(int(group["pending"]) for group in groups)

    def wait_until_empty(self) -> None:
        """Return when everything has been replayed."""
        eventually(self.is_empty, timeout_seconds=REPLAY_SECONDS)

    def fill(self, count: int) -> None:
        """Queue events as if the database had been gone when they came."""
        at = now()
        with self.client.pipeline(transaction=False) as pipeline:
            for _ in range(count):
                entry = Entry(
                    type=EntryType.AUDIT_EVENT,
                    payload=to_payload(an_audit_event()),
                    timestamp=at,
                    first_enqueued_at=at,
                    reason="db_unreachable",
                )
                pipeline.xadd(EVENTS_KEY, {"message": entry.encode()})
            pipeline.execute()

    def row(self, event_id: str) -> dict[str, Any]:
        """Return the only row of an event, with ``actor_ip`` as text."""
        with self._isolated.owner() as owner:
            found = owner.execute(select(audit_events).where(audit_events.c.event_id == event_id))
            return dict(found.mappings().one())

    def rows(self, **columns: Any) -> int:
        """Count the events with these values."""
        wanted = [audit_events.c[name] == value for name, value in columns.items()]
        with self._isolated.owner() as owner:
            return owner.execute(select(func.count()).select_from(audit_events).where(*wanted)).scalar_one()

    def is_stored(self, event_id: str) -> bool:
        """Tell whether an event is in the table."""
        return self.rows(event_id=event_id) == 1

    def notification(self, notification_id: str) -> dict[str, Any]:
        """Return the only row of a notification."""
        of_id = notification_audit.c.notification_id == notification_id
        with self._isolated.owner() as owner:
            return dict(owner.execute(select(notification_audit).where(of_id)).mappings().one())

    def notifications(self, notification_id: str) -> int:
        """Count the rows of a notification."""
        of_id = notification_audit.c.notification_id == notification_id
        with self._isolated.owner() as owner:
            statement = select(func.count()).select_from(notification_audit).where(of_id)
            return owner.execute(statement).scalar_one()

    def scrape(self) -> Scrape:
        """Return the metrics as they are now."""
        return Scrape(self._api)

    def scrape_at_depth(self, depth: int) -> Scrape:
        """Return the metrics once they show this depth of the events' queue.

        A periodic reading that began before a write may show the depth before it for a moment.
        """
        scrapes: list[Scrape] = []

        def shows_it() -> bool:
            scrapes.append(self.scrape())
            return scrapes[-1].value("dlq_depth", stream="events") == depth

        eventually(shows_it)
        return scrapes[-1]

    def run(self, statement: str) -> None:
        """Change the schema as its owner."""
        with self._isolated.owner() as owner:
            owner.execute(text(statement))

    def make_month(self, first: date) -> str:
        """Create the partition of a month and return its name."""
        name = partition_of(first)
        self.run(f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF audit_events {bounds_of(first)}")
        return name

    @contextmanager
    def detached(self, first: date) -> Iterator[None]:
        """Let the partition of a month be missing until the block ends."""
        name = self.make_month(first)
        self.run(f"ALTER TABLE audit_events DETACH PARTITION {name}")
        try:
            yield
        finally:
            self.run(f"ALTER TABLE audit_events ATTACH PARTITION {name} {bounds_of(first)}")

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Let every statement on a table wait until the block ends."""
        with self._isolated.owner() as owner:
            locking = owner.execution_options(isolation_level="READ COMMITTED")
            with locking.begin():
                locking.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
                yield


def partition_of(first: date) -> str:
    """Return the name of a month's partition."""
    return f"audit_events_{first:%Y_%m}"


def bounds_of(first: date) -> str:
    """Return the bounds of the month that starts on ``first``."""
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return f"FOR VALUES FROM ('{first}') TO ('{following}')"
