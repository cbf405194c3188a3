"""The parent comes, or goes, while its child is looking for it."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import Engine, text

from datastorage.audit.event import AuditEvent, to_payload
from datastorage.audit.inserts import inserts
from datastorage.audit.model import BatchRecorded, Recorded
from datastorage.audit.parents import Parents
from datastorage.audit.reader import AuditReader
from datastorage.audit.service import AuditService
from datastorage.audit.store import AuditStore
from datastorage.audit.writer import GroupWriter
from datastorage.dlq.attempt import WriteAttempts
from datastorage.dlq.breaker import CircuitBreaker
from datastorage.dlq.durability import Durability
from datastorage.dlq.replay import Replayed
from datastorage.dlq.service import DeadLetterQueue
from datastorage.dlq.stream import RedisQueue
from datastorage.errors import InvalidInput, NotFound
from datastorage.partitions.store import PartitionStore
from datastorage.platform.clock import utc_now
from datastorage.platform.db.database import Database
from datastorage.platform.exports import Exports
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings
from datastorage.tables import audit_events
from tests.support.builders import an_audit_event
from tests.support.pods import connect
from tests.support.waiting import eventually


class Meanwhile(DeadLetterQueue):
    """The queue, and what happens between the look into the database and the one into it."""

    happens: Callable[[], object] = staticmethod(lambda: None)

    def are_queued(self, event_ids: Sequence[str]) -> list[bool]:
        self.happens()
        return super().are_queued(event_ids)


class Scene:
    """The service on the real servers, with a queue that can be slow to answer."""

    def __init__(self, settings: Settings, redis_url: str) -> None:
        metrics = Metrics()
        client = connect(redis_url)
        queue = RedisQueue(client, group="g", consumer="c", max_len=10, dead_max_len=10)
        durability = Durability(client, settings.redis, metrics)
        self.database = Database(settings.database, share=2, metrics=metrics)
        self.store = AuditStore(
            self.database,
            settings.audit,
            settings.limits,
            lock_timeout=settings.database.write_lock_timeout,
            inserts=inserts(feed_ledger=True),
        )
        exports = Exports("audit", maximum=1, longest=timedelta(minutes=1), metrics=metrics)
        self.reader = AuditReader(
            self.database, exports, metrics, max_page_bytes=settings.limits.max_page_bytes
        )
        self.queue = Meanwhile(queue, durability, settings, metrics, utc_now)
        self.service = AuditService(
            store=self.store,
            writer=GroupWriter(self.store.append, max_wait_seconds=5),
            queue=self.queue,
            parents=Parents(self.queue, PartitionStore(self.database).detached_months),
            attempts=WriteAttempts(CircuitBreaker(metrics.circuit_breaker_state), metrics),
            metrics=metrics,
            clock=utc_now,
        )
        self._closers = (client.close, self.database.close)

    def store_meanwhile(self, event: AuditEvent) -> None:
        """Let a replay store ``event`` and drop its id just before the queue is asked."""
        self.queue.happens = lambda: self.store.append([event])

    def find(self, event: AuditEvent) -> dict[str, Any]:
        members: dict[str, Any] = msgspec.json.decode(self.reader.find(event.event_id))
        return members

    def close(self) -> None:
        for close in self._closers:
            close()


@pytest.fixture
def scene(settings: Settings, redis_url: str) -> Iterator[Scene]:
    scene = Scene(settings, redis_url)
    yield scene
    scene.close()


def test_child_of_a_parent_that_was_just_stored_is_recorded(scene: Scene) -> None:
    parent = an_audit_event()
    child = an_audit_event(parent_event_id=parent.event_id)
    scene.store_meanwhile(parent)

    assert isinstance(scene.service.record(child), Recorded)

    stored = scene.find(child)
    assert stored["parent_event_date"] == parent.event_date.isoformat()


def test_batch_with_a_child_of_a_parent_that_was_just_stored_is_recorded(scene: Scene) -> None:
    parent = an_audit_event()
    batch = [an_audit_event(), an_audit_event(parent_event_id=parent.event_id)]
    scene.store_meanwhile(parent)

    assert isinstance(scene.service.record_batch(batch), BatchRecorded)

    assert all(scene.find(event) for event in batch)


def test_parent_that_is_nowhere_is_unknown(scene: Scene) -> None:
    child = an_audit_event(parent_event_id=uuid4())
    scene.store_meanwhile(an_audit_event())

    with pytest.raises(InvalidInput) as refused:
        scene.service.record(child)

    assert set(refused.value.field_errors) == {"parent_event_id"}
    with pytest.raises(NotFound):
        scene.find(child)


LOCK_WAITS = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


def test_replayed_child_of_a_parent_that_is_being_deleted_keeps_what_it_said(
    scene: Scene, owner_engine: Engine
) -> None:
    parent = an_audit_event()
    child = an_audit_event(parent_event_id=parent.event_id)
    payload = msgspec.json.decode(msgspec.json.encode(to_payload(child)))
    scene.store.append([parent])
    purging = owner_engine.execution_options(isolation_level="READ COMMITTED")

    with ThreadPoolExecutor(1) as thread, owner_engine.connect() as watching:
        with purging.begin() as purge:
            purge.execute(
                text("SELECT set_config('datastorage.purge_guard', pg_current_xact_id()::text, true)")
            )
            purge.execute(audit_events.delete().where(audit_events.c.event_id == parent.event_id))
            # It finds the parent, whose deletion is not committed, and waits for it with its own insert.
            replayed = thread.submit(scene.service.replay, payload)
            eventually(lambda: watching.execute(LOCK_WAITS).scalar_one() > 0)

        outcome = replayed.result()

    assert outcome is Replayed.STORED
    stored = scene.find(child)
    assert (stored["parent_event_id"], stored["parent_event_date"]) == (str(parent.event_id), None)
