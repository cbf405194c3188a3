"""The faults: each breaks something real for a while and heals it again."""

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import text

from tests.lab.proxy import Mode
from tests.lab.stand import Stand, wait_until
from tests.support.exposition import Scrape
from tests.support.service import ServiceProcess

FAULT_SECONDS = 4.0
"""How long most faults last: several write budgets and many circuit breaker probes."""

Fault = Callable[[Stand], AbstractContextManager[None]]


def _hold(seconds: float = FAULT_SECONDS) -> None:
    """Let the fault last: its duration is the point, there is no condition to wait for."""
    time.sleep(seconds)


def postgres_stopped(how: signal.Signals) -> Fault:
    """Stop PostgreSQL: SIGTERM is smart, SIGINT fast, SIGQUIT immediate."""

    @contextmanager
    def fault(stand: Stand) -> Iterator[None]:
        os.kill(stand.postgres.pid, how)
        if how is signal.SIGTERM:
            _hold()  # smart waits for its clients; it refuses new ones meanwhile
            stand.proxy.reset_all()
        wait_until(lambda: not stand.postgres.is_running, 30)
        _hold()
        stand.postgres.start()
        yield

    return fault


@contextmanager
def postgres_killed(stand: Stand) -> Iterator[None]:
    """SIGKILL for the postmaster and every backend."""
    stand.postgres.kill()
    _hold()
    stand.postgres.start()
    yield


@contextmanager
def postgres_frozen(stand: Stand) -> Iterator[None]:
    """SIGSTOP: connections stay open and nothing is answered."""
    stand.postgres.freeze()
    _hold(8)
    stand.postgres.thaw()
    yield


@contextmanager
def postgres_slow(stand: Stand) -> Iterator[None]:
    """Frozen most of the time, in short stretches."""
    for _ in range(20):
        stand.postgres.freeze()
        _hold(0.3)
        stand.postgres.thaw()
        _hold(0.05)
    yield


@contextmanager
def worker_killed(stand: Stand) -> Iterator[None]:
    """SIGKILL for one gunicorn worker, five times."""
    for _ in range(5):
        _kill_worker(stand.service.pid)
        _hold(0.5)
    yield


def _kill_worker(arbiter: int) -> None:
    before = workers_of(arbiter)
    os.kill(before[0], signal.SIGKILL)

    def is_replaced() -> bool:
        now = workers_of(arbiter)
        return before[0] not in now and len(now) == len(before)

    wait_until(is_replaced, 30)


@contextmanager
def arbiter_killed(stand: Stand) -> Iterator[None]:
    """SIGKILL for the gunicorn arbiter; its workers leave when they notice, then a new one starts."""
    workers = workers_of(stand.service.pid)
    os.kill(stand.service.pid, signal.SIGKILL)
    stand.service.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 30)
    stand.service.start()
    yield


@contextmanager
def redis_killed(stand: Stand) -> Iterator[None]:
    """SIGKILL for Redis while the queue is in use because PostgreSQL is down."""
    stand.postgres.kill()
    _hold(3)
    stand.redis.kill()
    _hold(1)
    stand.redis.start()
    _hold(2)
    stand.postgres.start()
    yield


@contextmanager
def redis_down(stand: Stand) -> Iterator[None]:
    """Redis gone, PostgreSQL fine: nobody but the health check notices."""
    stand.redis.kill()
    _hold()
    assert stand.service.api.get("/health").json["redis"] == "unreachable"
    stand.redis.start()
    yield


@contextmanager
def both_down(stand: Stand) -> Iterator[None]:
    """Neither store takes anything."""
    stand.redis.kill()
    stand.postgres.kill()
    _hold()
    stand.redis.start()
    stand.postgres.start()
    yield


@contextmanager
def redis_full(stand: Stand) -> Iterator[None]:
    """``maxmemory`` reached under noeviction, PostgreSQL down."""
    stand.postgres.kill()
    _hold(1)
    with stand.redis_client() as client:
        client.config_set("maxmemory", "1mb")
        _hold(3)
        client.config_set("maxmemory", "0")
    stand.postgres.start()
    yield


@contextmanager
def connections_cut(stand: Stand) -> Iterator[None]:
    """Every connection to PostgreSQL reset, again and again, in mid-statement."""
    for _ in range(40):
        stand.proxy.reset_all()
        _hold(0.1)
    yield


@contextmanager
def commit_answer_lost(stand: Stand) -> Iterator[None]:
    """COMMIT reaches the server and is done; the answer never comes back."""
    stand.proxy.mode = Mode.LOSE_COMMIT_ANSWER
    _hold()
    stand.proxy.mode = Mode.PASS
    # What was queued had been committed: its replay has to find it there.
    wait_until(lambda: _replayed(stand.service, "duplicate") > 0, 30, lambda: "no commit went through")
    yield


@contextmanager
def black_hole(stand: Stand) -> Iterator[None]:
    """The network accepts everything and delivers nothing."""
    stand.proxy.mode = Mode.BLACK_HOLE
    _hold(8)
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
        _hold()
        connection.execute(text(f"ALTER TABLE audit_events ATTACH PARTITION {_BROKEN} {_BOUNDS}"))
    yield


@contextmanager
def partition_locked(stand: Stand) -> Iterator[None]:
    """One month locked by somebody else for longer than the lock timeout."""
    with stand.owner() as connection:
        connection.execute(text("BEGIN"))
        connection.execute(text(f"LOCK TABLE {_BROKEN} IN ACCESS EXCLUSIVE MODE"))
        _hold(6)
        connection.execute(text("ROLLBACK"))
    yield


@contextmanager
def partition_missing(stand: Stand) -> Iterator[None]:
    """A month that nobody made yet, made while its events wait."""
    with stand.owner() as connection:
        connection.execute(text(f"ALTER TABLE audit_events DETACH PARTITION {_BROKEN}"))
        connection.execute(text(f"ALTER TABLE {_BROKEN} RENAME TO month_kept_apart"))
        _hold()
        connection.execute(text(f"ALTER TABLE month_kept_apart RENAME TO {_BROKEN}"))
        connection.execute(text(f"ALTER TABLE audit_events ATTACH PARTITION {_BROKEN} {_BOUNDS}"))
    yield


@contextmanager
def pool_exhausted(stand: Stand) -> Iterator[None]:
    """Every connection of the pool busy: the partition of the present is locked for a while."""
    with stand.owner() as connection:
        for _ in range(2):
            connection.execute(text("BEGIN"))
            connection.execute(text("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE"))
            _hold(3)
            connection.execute(text("ROLLBACK"))
            _hold(1)
    yield


@contextmanager
def worker_killed_while_replaying(stand: Stand) -> Iterator[None]:
    """A long queue, and the process that empties it is killed again and again."""
    stand.postgres.kill()
    _hold(5)
    stand.postgres.start()
    interrupted = 0
    for _ in range(6):
        _hold(0.4)
        interrupted += stand.queued() > 0
        for pid in workers_of(stand.service.pid):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(workers_of(stand.service.pid)) == 2, 30)
    assert interrupted, "the queue was empty before the first kill"
    yield


@contextmanager
def two_services_replaying(stand: Stand) -> Iterator[None]:
    """A second pod joins while the queue is long, and both empty it."""
    stand.postgres.kill()
    _hold()
    stand.add_service(ready=False)  # ready only when the database is back
    _hold(2)
    stand.postgres.start()
    wait_until(
        lambda: all(_replayed(service, "success") for service in stand.services), 60, lambda: "one did it all"
    )
    yield


def _replayed(service: ServiceProcess, result: str) -> float:
    return Scrape(service.metrics_api).value("dlq_retry_total", stream="events", result=result)


@contextmanager
def disk_full(stand: Stand) -> Iterator[None]:
    """The file system of PostgreSQL has no byte left, until the ballast is thrown out."""
    ballast = stand.directory / "postgres" / "ballast"
    block = b"\0" * (1 << 20)
    with ballast.open("wb", buffering=0) as file:
        try:
            for _ in itertools.count():
                file.write(block)
        except OSError:
            pass  # full, as wanted
    _hold(6)
    ballast.unlink()
    if not stand.postgres.is_running:
        stand.postgres.start()
    yield


def workers_of(arbiter: int) -> list[int]:
    """Return the process ids of the children of ``arbiter``."""
    children = Path(f"/proc/{arbiter}/task/{arbiter}/children").read_text(encoding="ascii").split()
    return [int(pid) for pid in children]
