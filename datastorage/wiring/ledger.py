"""The ledger: one process of each pod seals, all of them answer questions about it."""

import tempfile
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final, Self

from datastorage.audit.reader import AuditReader
from datastorage.audit.waiting import LeafWaits
from datastorage.dlq.service import DeadLetterQueue
from datastorage.ledger.alarm import RollbackAlarm
from datastorage.ledger.chain import ChainVerifier
from datastorage.ledger.comparison import LedgerAudit
from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.feed import Feed
from datastorage.ledger.followers import Followers
from datastorage.ledger.following import Following
from datastorage.ledger.history import History
from datastorage.ledger.key_files import LedgerKeys
from datastorage.ledger.maintenance import LedgerMaintenance
from datastorage.ledger.proofs import Proofs
from datastorage.ledger.publication import Deliveries, Publisher, targets_of
from datastorage.ledger.reader import LedgerReader
from datastorage.ledger.sealer import Pause, Sealer
from datastorage.ledger.state import SharedState, State
from datastorage.ledger.store import LedgerStore
from datastorage.partitions.plan import AUDIT_EVENTS, Month
from datastorage.partitions.store import PartitionStore
from datastorage.platform.clock import Clock
from datastorage.platform.db.database import Database, application_name
from datastorage.platform.loop import Loop
from datastorage.platform.metrics import Metrics
from datastorage.platform.pod_lock import PodLock
from datastorage.platform.server.shared import SharedFlag
from datastorage.platform.watched import BadFileError
from datastorage.settings import LedgerSettings, Settings
from datastorage.wiring.services import Services

MAINTENANCE_LOOK: Final = timedelta(minutes=1)
PUBLICATION_LOOK: Final = timedelta(seconds=1)
PAUSE_INTERVAL: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class LedgerParts:
    """What is there before the first worker: the keys, and the state that all of them show."""

    keys: LedgerKeys
    state: SharedState

    @classmethod
    def of(cls, settings: LedgerSettings) -> Self:
        """Read the keys.

        Raises:
            BadFileError: a file holds none.
        """
        return cls(LedgerKeys(), SharedState(State.OFF)).renewed(settings)

    def renewed(self, settings: LedgerSettings) -> Self:
        """Read the keys again; the state stays where other processes see it.

        Raises:
            BadFileError: a file holds none.
        """
        keys = LedgerKeys.read(settings)
        try:
            targets_of(settings)
        except MalformedEvidence as error:
            raise BadFileError(f"ledger.witnesses: {error}") from error
        if settings.enabled:
            self.state.set(State.OK if keys.signing else State.UNSIGNED)
        else:
            self.state.set(State.OFF)
        return type(self)(keys, self.state)


def add_ledger(services: Services, settings: Settings, clock: Clock, parts: LedgerParts | None) -> None:
    """Add the ledger and the thread that seals, or that states that nothing is sealed."""
    parts = parts or LedgerParts.of(settings.ledger)
    metrics = services[Metrics]
    metrics.ledger_signing_key_loaded.set(bool(parts.keys.signing))
    metrics.ledger_state.labels(parts.state()).set(1)
    # Its own, so that it never takes the last connection from a request.
    database = Database(
        settings.database,
        share=1,
        metrics=metrics,
        application_name=application_name(),
        is_of_requests=False,
    )
    store = LedgerStore(database, clock)
    services.closers.append(database.close)
    services.add(parts.keys, parts.state, store)
    add_readers(services, settings, clock)
    add_feed(services, settings)
    if not settings.ledger.enabled:
        services.loops.append(Loop("ledger pause", Pause(store).run_once, PAUSE_INTERVAL))
        return
    # TMPDIR is the runtime directory of the pod; see platform/server/startup.py.
    lock = PodLock(Path(tempfile.gettempdir()) / "ledger-sealer.lock")
    history, targets = History(database), targets_of(settings.ledger)
    alarm = RollbackAlarm(history, parts.keys.origin, targets)
    sealer = Sealer(
        store,
        parts.keys,
        lock=lock,
        alarm=alarm,
        state=parts.state,
        batch=settings.ledger.seal_batch,
        metrics=metrics,
    )
    services.loops.append(Loop("ledger sealer", sealer.run_once, settings.ledger.seal_interval))
    services.loops.append(_maintenance(services, settings, history, lock, clock))
    if targets:
        publisher = Publisher(
            history,
            Deliveries(history, targets, metrics),
            alarm,
            interval=settings.ledger.publish_interval,
            is_sealer=lambda: lock.is_held,
        )
        services.loops.append(Loop("ledger publication", publisher.run_once, PUBLICATION_LOOK))


def _maintenance(
    services: Services, settings: Settings, history: History, lock: PodLock, clock: Clock
) -> Loop:
    maintenance = LedgerMaintenance(
        history,
        # On a connection of requests: a large month takes minutes, and sealing must not wait for it.
        LedgerAudit(services[Database]) if settings.ledger.audit_daily else None,
        partial(attached_months, services[Database]),
        is_sealer=lambda: lock.is_held,
        metrics=services[Metrics],
        clock=clock,
    )
    return Loop("ledger maintenance", maintenance.run_once, MAINTENANCE_LOOK)


def add_readers(services: Services, settings: Settings, clock: Clock) -> None:
    """Add what answers questions; it uses the connections of requests."""
    database, keys, metrics = services[Database], services[LedgerKeys], services[Metrics]
    queue = services[DeadLetterQueue]
    reader = LedgerReader(database, keys, services[SharedState])
    services.add(
        reader,
        LeafWaits(
            reader.are_proved,
            most=min(settings.ledger.max_waiting_writes, settings.server.threads // 2),
            is_ending=services[SharedFlag],
        ),
        Proofs(
            database,
            reader,
            keys,
            is_queued=lambda event_id: queue.are_queued([str(event_id)])[0],
            queue_seconds=round(settings.redis.dlq_poll_interval.total_seconds()),
            metrics=metrics,
        ),
        ChainVerifier(database, metrics, clock),
    )


def add_feed(services: Services, settings: Settings) -> None:
    """Add what reads on along the ledger, and the thread of those who wait for what comes."""
    following = Following(services[Database])
    followers = Followers(
        following,
        settings.feed,
        write_timeout=settings.server.write_timeout,
        metrics=services[Metrics],
    )
    services.starters.append(followers.start)
    services.closers.append(followers.close)
    services.add(
        Feed(
            following,
            followers,
            services[AuditReader].exports,
            services[SharedFlag],
            max_page_bytes=settings.limits.max_page_bytes,
        )
    )


def attached_months(database: Database) -> set[Month]:
    """Return the months of events that can be read.

    Raises:
        DatabaseError: the catalogue cannot.
    """
    found = PartitionStore(database).list_partitions()
    return {p.month for p in found if p.month and p.attached and p.table == AUDIT_EVENTS.name}
