"""The same requests with ten times the events, seven times the partitions and ten times the workflows."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import audit_rows, workflows
from bench.audit_reads import LIST_ROWS, long_lists, look_ups
from bench.audit_rows import BATCH_EVENTS
from bench.audit_writes import BATCH_CLIENTS, batches, posts
from bench.audit_writes import CLIENTS as WRITERS
from bench.figures import Figure, Goal
from bench.rounds import CLIENTS, WORKFLOWS, Effort, by_turns, driving, latencies
from bench.stand import Stand, settle
from datastorage.embedded.stack import APP_ROLE, OWNER_ROLE, migrate
from tests.support.service import ServiceProcess

if TYPE_CHECKING:
    from bench.wire import WireTarget

TIMES = 10
PARTITIONS = {1: 12, TIMES: 84}
GOAL = Goal(1.2, of="ratio")


def measure(stand: Stand, effort: Effort) -> list[Figure]:
    """Every kind of request on large tables beside small ones, each with a service of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="datastorage-bench-") as directory,
        _service(stand, effort, Path(directory), 1) as small,
        _service(stand, effort, Path(directory), TIMES) as large,
    ):
        # Writes first: a connection that has not seen 84 partitions yet takes long to learn what they are.
        scenarios: list[tuple[str, Callable[[str], WireTarget], int, Goal | None]] = [
            ("single events", posts, WRITERS, GOAL),
            ("events by correlation id", look_ups, CLIENTS, GOAL),
            (f"list of {LIST_ROWS:,} events", long_lists, 1, None),
            ("workflow search", workflows.searches, CLIENTS, None),
            (f"batches of {BATCH_EVENTS} events", batches, BATCH_CLIENTS, None),
        ]
        figures: list[Figure] = []
        for what, target, clients, goal in scenarios:
            sides = [driving(stand, target(stand.service_url), clients) for stand in (large, small)]
            name = f"{what}, {TIMES} x rows, {clients} client{'s' if clients > 1 else ''}"
            figures += latencies(name, by_turns(name, effort, *sides), {50: None, 99: goal})
        return figures


@contextmanager
def _service(stand: Stand, effort: Effort, directory: Path, times: int) -> Iterator[Stand]:
    database = f"bench_{times}"
    stand.postgres.create_database(database, owner=OWNER_ROLE)
    owner_url = stand.postgres.url(database, OWNER_ROLE)
    app_url = stand.postgres.url(database, APP_ROLE)
    migrate(owner_url)
    audit_rows.fill(owner_url, effort.growth_rows * times, PARTITIONS[times])
    # For as many signals more: a search matches as many as before, among ten times the others.
    workflows.fill(owner_url, WORKFLOWS * times, signals=workflows.SIGNALS * times)
    settle(stand.postgres.url(database))
    with ServiceProcess(directory / database, app_url, stand.redis_url) as service:
        yield replace(stand, app_url=app_url, service_url=service.api.url, service_pid=service.pid)
