"""The same requests against a table with ten times the rows, and seven times the partitions."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench import audit_rows
from bench.audit_reads import look_ups
from bench.audit_rows import EVENTS
from bench.audit_writes import CLIENTS as WRITERS
from bench.figures import Figure, Goal
from bench.load import Request
from bench.rounds import CLIENTS, Effort, by_turns, driving, latencies
from bench.stand import Stand, settle
from bench.wire import WireTarget
from datastorage.embedded.stack import APP_ROLE, OWNER_ROLE, migrate
from tests.support.service import ServiceProcess

TIMES = 10
PARTITIONS = {1: 12, TIMES: 84}
GOAL = Goal(1.2, of="ratio")


def measure(stand: Stand, effort: Effort) -> list[Figure]:
    """Single writes and look-ups on a large table beside a small one, each with a service of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="datastorage-bench-") as directory,
        _service(stand, effort, Path(directory), 1) as small,
        _service(stand, effort, Path(directory), TIMES) as large,
    ):
        posts = [Request("POST", EVENTS, body) for body in audit_rows.bodies()]
        return [
            *_beside(
                "single events",
                effort,
                (large, WireTarget(large.service_url, posts)),
                (small, WireTarget(small.service_url, posts)),
                WRITERS,
            ),
            *_beside(
                "events by correlation id",
                effort,
                (large, look_ups(large.service_url)),
                (small, look_ups(small.service_url)),
                CLIENTS,
            ),
        ]


@contextmanager
def _service(stand: Stand, effort: Effort, directory: Path, times: int) -> Iterator[Stand]:
    database = f"bench_{times}"
    stand.postgres.create_database(database, owner=OWNER_ROLE)
    owner_url = stand.postgres.url(database, OWNER_ROLE)
    app_url = stand.postgres.url(database, APP_ROLE)
    migrate(owner_url)
    audit_rows.fill(owner_url, effort.growth_rows * times, PARTITIONS[times])
    settle(stand.postgres.url(database))
    with ServiceProcess(directory / database, app_url, stand.redis_url) as service:
        yield replace(stand, app_url=app_url, service_url=service.api.url, service_pid=service.pid)


def _beside(
    what: str,
    effort: Effort,
    large: tuple[Stand, WireTarget],
    small: tuple[Stand, WireTarget],
    clients: int,
) -> list[Figure]:
    name = f"{what}, {TIMES} x rows, {clients} clients"
    sides = [driving(stand, effort, target, clients) for stand, target in (large, small)]
    pairs = by_turns(name, [(sides[0], sides[1])] * effort.rounds)
    return latencies(name, pairs, {50: None, 99: GOAL})
