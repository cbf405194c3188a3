"""The faults: each breaks something real for a while and heals it again."""

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import text

from datastorage.embedded.stack import APP_ROLE
from datastorage.settings import environment
from tests.lab.proxy import Mode
from tests.lab.stand import LOCAL, Stand, wait_until
from tests.support.exposition import Scrape
from tests.support.servers import ROLE_PASSWORD
from tests.support.service import ServiceProcess
from tests.support.small_disk import fill
from tests.support.tls import certificate_of

FAULT_SECONDS = 4.0
"""How long most faults last, at least: several write budgets and many circuit breaker probes."""

PATIENCE_SECONDS = 60
REDIS_KILLS = int(environment().get("REDIS_KILLS", "3"))
"""How often Redis dies in one run."""

FLUSH_SECONDS = 0.5
"""A bad disk: Redis warns of flushes that take longer than two seconds."""

SEALERS_KILLED = 12
SEALER_LIVES_SECONDS = 2.0

FEW = 5
WORKERS = 2
MOST_KILLS = 20
LONG_QUEUE = 1500
"""Records, for faults that need a queue which is not empty a moment later."""

Fault = Callable[[Stand], AbstractContextManager[None]]


def pause(seconds: float) -> None:
    """Part two strokes of one fault: the rhythm is the point, there is no condition to wait for."""
    time.sleep(seconds)


def postgres_stopped(how: signal.Signals) -> Fault:
    """Stop PostgreSQL: SIGTERM is smart, SIGINT fast, SIGQUIT immediate."""

    @contextmanager
    def fault(stand: Stand) -> Iterator[None]:
        os.kill(stand.postgres.pid, how)
        if how is signal.SIGTERM:
            pause(FAULT_SECONDS)  # smart waits for its clients; it refuses new ones meanwhile
            stand.proxy.reset_all()
        wait_until(lambda: not stand.postgres.is_running, PATIENCE_SECONDS)
        stand.hold(FAULT_SECONDS)
        stand.postgres.start()
        yield

    return fault


@contextmanager
def postgres_killed(stand: Stand) -> Iterator[None]:
    """SIGKILL for the postmaster and every backend."""
    stand.kill_postgres()
    stand.hold(FAULT_SECONDS)
    stand.postgres.start()
    yield


@contextmanager
def postgres_frozen(stand: Stand) -> Iterator[None]:
    """SIGSTOP: connections stay open and nothing is answered."""
    stand.postgres.freeze()
    stand.hold(8)
    stand.postgres.thaw()
    yield


@contextmanager
def postgres_slow(stand: Stand) -> Iterator[None]:
    """Frozen most of the time, in short stretches."""
    for _ in range(20):
        stand.postgres.freeze()
        pause(0.3)
        stand.postgres.thaw()
        pause(0.05)
    yield


@contextmanager
def worker_killed(stand: Stand) -> Iterator[None]:
    """SIGKILL for one gunicorn worker, five times, or more often until a client was cut off."""
    for kill in range(MOST_KILLS):
        if kill >= 5 and stand.is_felt():
            break
        _kill_worker(stand.service.pid)
        pause(0.5)
    yield


def _kill_worker(arbiter: int) -> None:
    before = workers_of(arbiter)
    os.kill(before[0], signal.SIGKILL)

    def is_replaced() -> bool:
        now = workers_of(arbiter)
        return before[0] not in now and len(now) == len(before)

    wait_until(is_replaced, PATIENCE_SECONDS)


@contextmanager
def arbiter_killed(stand: Stand) -> Iterator[None]:
    """SIGKILL for the gunicorn arbiter; its workers leave when they notice, then a new one starts."""
    workers = workers_of(stand.service.pid)
    os.kill(stand.service.pid, signal.SIGKILL)
    stand.service.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), PATIENCE_SECONDS)
    stand.service.start()
    yield


@contextmanager
def redis_killed(stand: Stand) -> Iterator[None]:
    """SIGKILL for Redis on a slow disk, in the middle of a flush, while PostgreSQL is down; several times."""
    stand.kill_postgres()
    for _ in range(REDIS_KILLS):
        with stand.disk.slow(FLUSH_SECONDS):
            stand.wait_until_queued(stand.queued() + FEW)
            # Entries have come meanwhile, and wait for the disk with those before them.
            wait_until(
                lambda: stand.disk.is_in_mid_flush(FLUSH_SECONDS / 2), PATIENCE_SECONDS, pause_seconds=0.01
            )
            stand.kill_redis()
        stand.redis.start()
    stand.hold(2)
    stand.postgres.start()
    yield


@contextmanager
def redis_down(stand: Stand) -> Iterator[None]:
    """Redis gone, PostgreSQL fine: nobody but the health check notices."""
    stand.kill_redis()
    stand.hold(FAULT_SECONDS)
    assert stand.service.api.get("/health").json["redis"] == "unreachable"
    stand.redis.start()
    yield


@contextmanager
def both_down(stand: Stand) -> Iterator[None]:
    """Neither store takes anything."""
    stand.kill_redis()
    stand.kill_postgres()
    stand.hold(FAULT_SECONDS)
    stand.redis.start()
    stand.postgres.start()
    yield


@contextmanager
def redis_full(stand: Stand) -> Iterator[None]:
    """``maxmemory`` reached under noeviction, PostgreSQL down."""
    stand.kill_postgres()
    pause(1)
    with stand.redis_client() as client:
        client.config_set("maxmemory", "1")
        stand.hold(3)
        client.config_set("maxmemory", "0")
    stand.postgres.start()
    yield


@contextmanager
def connections_cut(stand: Stand) -> Iterator[None]:
    """Every connection to PostgreSQL reset, again and again, in mid-statement."""
    for _ in range(40):
        stand.proxy.reset_all()
        pause(0.1)
    while not stand.is_felt():
        stand.proxy.reset_all()
        pause(0.1)
    yield


@contextmanager
def backends_terminated(stand: Stand) -> Iterator[None]:
    """Every connection ended by the server, as when a pooler reloads; several times."""
    every = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :role")
    with stand.superuser() as superuser:
        for _ in range(8):
            superuser.execute(every, {"role": APP_ROLE})
            pause(0.5)
    yield


@contextmanager
def primary_demoted(stand: Stand) -> Iterator[None]:
    """A standby takes over behind the same address; the old primary stays, and takes no writes."""
    standby = stand.follow()
    stand.make_read_only()
    stand.hold(2)
    stand.fail_over(standby)
    yield


@contextmanager
def commit_answer_lost(stand: Stand) -> Iterator[None]:
    """COMMIT reaches the server and is done; the answer never comes back."""
    stand.proxy.mode = Mode.LOSE_COMMIT_ANSWER
    stand.hold(FAULT_SECONDS)
    stand.proxy.mode = Mode.PASS
    # What was queued had been committed: its replay has to find it there.
    wait_until(
        lambda: _replayed(stand.service, "duplicate") > 0, PATIENCE_SECONDS, lambda: "no commit went through"
    )
    yield


@contextmanager
def black_hole(stand: Stand) -> Iterator[None]:
    """The network accepts everything and delivers nothing."""
    stand.proxy.mode = Mode.BLACK_HOLE
    stand.hold(8)
    stand.proxy.mode = Mode.PASS
    stand.proxy.reset_all()
    yield


MONTHS = ("2098-10-05", "2098-11-05")
"""Two months far from the present: one is broken, the other must not notice."""

_BROKEN = "audit_events_2098_10"
_BOUNDS = "FOR VALUES FROM ('2098-10-01') TO ('2098-11-01')"


def make_months(stand: Stand) -> None:
    """Create the partitions that the partition faults break."""
    with stand.owner() as connection:
        for month in ("2098-10-01", "2098-11-01"):
            connection.execute(
                text("SELECT ensure_month_partition('audit_events', :month)"), {"month": month}
            )


@contextmanager
def partition_detached(stand: Stand) -> Iterator[None]:
    """One month detached and attached again."""
    with stand.owner() as connection:
        connection.execute(text(f"ALTER TABLE audit_events DETACH PARTITION {_BROKEN}"))
        stand.hold(FAULT_SECONDS)
        connection.execute(text(f"ALTER TABLE audit_events ATTACH PARTITION {_BROKEN} {_BOUNDS}"))
    yield


@contextmanager
def partition_locked(stand: Stand) -> Iterator[None]:
    """One month locked by somebody else for longer than the lock timeout."""
    with stand.owner() as connection:
        connection.execute(text("BEGIN"))
        connection.execute(text(f"LOCK TABLE {_BROKEN} IN ACCESS EXCLUSIVE MODE"))
        stand.hold(6)
        connection.execute(text("ROLLBACK"))
    yield


@contextmanager
def partition_missing(stand: Stand) -> Iterator[None]:
    """A month that nobody made yet, made while its events wait."""
    with stand.owner() as connection:
        connection.execute(text(f"ALTER TABLE audit_events DETACH PARTITION {_BROKEN}"))
        connection.execute(text(f"ALTER TABLE {_BROKEN} RENAME TO month_kept_apart"))
        stand.hold(FAULT_SECONDS)
        connection.execute(text(f"ALTER TABLE month_kept_apart RENAME TO {_BROKEN}"))
        connection.execute(text(f"ALTER TABLE audit_events ATTACH PARTITION {_BROKEN} {_BOUNDS}"))
    yield


@contextmanager
def pool_exhausted(stand: Stand) -> Iterator[None]:
    """Every connection of the pool busy: the table is locked, now and then, until somebody goes without."""
    with stand.owner() as connection:
        for attempt in itertools.count(1):
            connection.execute(text("BEGIN"))
            connection.execute(text("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE"))
            pause(3)
            connection.execute(text("ROLLBACK"))
            pause(1)
            if stand.is_felt() or attempt == 10:
                break
    yield


@contextmanager
def connections_used_up(stand: Stand) -> Iterator[None]:
    """The server lets nobody in any more: the role has no connection left."""
    _role_altered(stand, "CONNECTION LIMIT 0", "CONNECTION LIMIT -1")
    yield


@contextmanager
def password_changed(stand: Stand) -> Iterator[None]:
    """Somebody rotated the password in the database, and puts it back."""
    _role_altered(stand, "PASSWORD 'another'", f"PASSWORD '{ROLE_PASSWORD}'")
    yield


def _role_altered(stand: Stand, change: str, undo: str) -> None:
    """Keep the service's role from logging in for a while; its connections are cut."""
    with stand.superuser() as connection:
        connection.execute(text(f"ALTER ROLE {APP_ROLE} {change}"))
        stand.proxy.reset_all()
        stand.hold(FAULT_SECONDS)
        connection.execute(text(f"ALTER ROLE {APP_ROLE} {undo}"))


KILLS = 8
"""More than ``redis.dlq_max_deliveries``: to die so often beside a record must not be held against it."""


@contextmanager
def worker_killed_while_replaying(stand: Stand) -> Iterator[None]:
    """A long queue, and the processes that empty it are killed again and again."""
    stand.kill_postgres()
    stand.wait_until_queued(LONG_QUEUE)
    stand.postgres.start()
    for kill in range(MOST_KILLS):
        if kill >= KILLS and stand.is_felt():
            break
        _wait_until_replaying(stand)
        for pid in workers_of(stand.service.pid):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(workers_of(stand.service.pid)) == WORKERS, PATIENCE_SECONDS)
    stand.hold(0)
    yield


@contextmanager
def service_restarted_while_replaying(stand: Stand) -> Iterator[None]:
    """A long queue, and the service that empties it is told to stop and started again."""
    stand.kill_postgres()
    stand.wait_until_queued(LONG_QUEUE)
    stand.postgres.start()
    _wait_until_replaying(stand)
    stand.service.signal(signal.SIGTERM)
    assert stand.service.wait() == 0
    pause(1)
    stand.service.start()
    stand.hold(0)
    yield


def _wait_until_replaying(stand: Stand) -> None:
    """Wait until somebody takes records out of a queue that still has some."""
    before = stand.queued()

    def is_shrinking() -> bool:
        nonlocal before
        now = stand.queued()
        is_less, before = now < before, now
        return is_less

    wait_until(is_shrinking, PATIENCE_SECONDS, lambda: f"nobody replays, {before} queued")
    assert before > 0, "the queue was empty before the kill"


@contextmanager
def two_services_replaying(stand: Stand) -> Iterator[None]:
    """A second pod joins while the queue is long, and both empty it."""
    stand.kill_postgres()
    stand.add_service(ready=False)  # ready only when the database is back
    stand.wait_until_queued(LONG_QUEUE)
    stand.postgres.start()
    wait_until(
        lambda: all(_replayed(service, "success") for service in stand.services),
        PATIENCE_SECONDS,
        lambda: "one did it all",
    )
    yield


@contextmanager
def rival_sealers_killed(stand: Stand) -> Iterator[None]:
    """SIGKILL, in turns and every two seconds, for all processes of three pods that all may seal."""
    for _ in range(2):
        stand.add_service()
    for number in range(SEALERS_KILLED):
        pod = stand.services[number % len(stand.services)]
        os.killpg(pod.pid, signal.SIGKILL)
        pod.wait()
        pause(SEALER_LIVES_SECONDS)
        pod.start()
    yield


def _replayed(service: ServiceProcess, result: str) -> float:
    return Scrape(service.metrics_api).value("dlq_retry_total", stream="events", result=result)


@contextmanager
def replay_times_out(stand: Stand) -> Iterator[None]:
    """The network stops delivering while queued records are stored: their write runs into its timeout."""
    stand.kill_postgres()
    stand.wait_until_queued(LONG_QUEUE)
    stand.postgres.start()
    _wait_until_replaying(stand)
    before = _replayed(stand.service, "infrastructure")
    stand.proxy.mode = Mode.BLACK_HOLE
    wait_until(
        lambda: _replayed(stand.service, "infrastructure") > before,
        PATIENCE_SECONDS,
        lambda: "no replay ran into its timeout",
    )
    stand.proxy.mode = Mode.PASS
    stand.proxy.reset_all()
    yield


@contextmanager
def metrics_disk_full(stand: Stand) -> Iterator[None]:
    """No room in the metrics directory: a worker is killed, the others are replaced by a reload."""
    service = stand.service
    ballast = fill(service.directory / "runtime")
    _kill_worker(service.pid)
    _reload(service)
    stand.hold(FAULT_SECONDS)
    assert "Metrics directory full" in service.log
    ballast.unlink()
    _reload(service)
    assert Scrape(service.metrics_api).value("metrics_unshared_series") == 0
    yield


def _reload(service: ServiceProcess) -> None:
    before = set(workers_of(service.pid))
    service.signal(signal.SIGHUP)

    def are_replaced() -> bool:
        now = set(workers_of(service.pid))
        return len(now) == WORKERS and not before & now

    wait_until(are_replaced, PATIENCE_SECONDS)


RENEWALS = 3


@contextmanager
def certificate_reloaded(stand: Stand) -> Iterator[None]:
    """The certificate renewed again and again, by signal and by the file alone; once it lacks its key."""
    service, authority = stand.service, stand.authority
    assert authority is not None
    for _ in range(RENEWALS):
        authority.issue(LOCAL)
        _reload(service)
    shown = certificate_of(service.api)
    authority.key_of(LOCAL).write_bytes(authority.issue("elsewhere").key.read_bytes())
    _reload(service)
    assert "TLS certificate not reloaded" in service.log
    assert certificate_of(service.api) == shown
    authority.issue(LOCAL)
    # Each connection finds one worker: all of them have to have looked.
    wait_until(
        lambda: all(certificate_of(service.api) != shown for _ in range(4 * WORKERS)), PATIENCE_SECONDS
    )
    yield


@contextmanager
def disk_full(stand: Stand) -> Iterator[None]:
    """The file system of PostgreSQL has no byte left, until the ballast is thrown out."""
    ballast = fill(stand.directory / "postgres")
    stand.hold(6)
    ballast.unlink()
    if not stand.postgres.is_running:
        stand.postgres.start()
    yield


def workers_of(arbiter: int) -> list[int]:
    """Return the process ids of the children of ``arbiter``."""
    children = Path(f"/proc/{arbiter}/task/{arbiter}/children").read_text(encoding="ascii").split()
    return [int(pid) for pid in children]
