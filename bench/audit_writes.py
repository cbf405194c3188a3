"""Writing audit events, one by one and in batches, beside what PostgreSQL and Flask do alone."""

import tempfile
from pathlib import Path

from bench import audit_rows
from bench.audit_rows import BATCH_EVENTS, EVENTS
from bench.figures import Figure, Goal, figure
from bench.load import Request
from bench.rounds import Effort, by_turns, compare, costs, driving, failures, latencies, rates
from bench.stand import Stand
from bench.statements import CopyInTarget, PgbenchTarget
from bench.wire import WireTarget
from tests.support.service import ServiceProcess
from tests.support.tls import Authority

CLIENTS = 32
MANY_CLIENTS = 256
BATCH_CLIENTS = 4


def single(stand: Stand, effort: Effort) -> list[Figure]:
    """Single events beside single INSERTs."""
    name = f"single events, {CLIENTS} clients"
    sides = posts(stand.service_url), PgbenchTarget(stand.app_url, audit_rows.INSERT_ONE)
    pairs = compare(name, stand, effort, sides, clients=CLIENTS)
    goal = Goal(0.6, of="ratio", is_least=True)
    return [
        figure(name, "events/s", rates(pairs), goal=goal, failed=failures(pairs)),
        *latencies(name, pairs, {50: None, 99: None}),
    ]


def cost(stand: Stand, effort: Effort) -> list[Figure]:
    """The service's processor time for a single event beside Flask's for reading and returning it."""
    name = "processor time of a single event"
    echo = driving(stand, stand.stock.echo(audit_rows.bodies()), CLIENTS, service_pid=stand.stock.pid)
    pairs = by_turns(name, effort, driving(stand, posts(stand.service_url), CLIENTS), echo)
    return [figure(name, "ms", costs(pairs), goal=Goal(1.0, of="ratio"), failed=failures(pairs))]


def crowd(stand: Stand, effort: Effort) -> list[Figure]:
    """Single events from very many clients, beside an empty view under the same worker for as many."""
    name = f"single events, {MANY_CLIENTS} clients"
    empty = driving(stand, stand.ours.empty(), MANY_CLIENTS, service_pid=stand.ours.pid)
    pairs = by_turns(name, effort, driving(stand, posts(stand.service_url), MANY_CLIENTS), empty)
    return latencies(name, pairs, {50: None, 95: Goal(250), 99: Goal(500)})


def by_tls(stand: Stand, effort: Effort) -> list[Figure]:
    """The processor time for a single event by TLS beside that without, on connections that are kept."""
    name = "processor time of a single event by TLS"
    with tempfile.TemporaryDirectory(prefix="datastorage-bench-") as directory:
        authority = Authority(Path(directory))
        service = ServiceProcess(Path(directory), stand.app_url, stand.redis_url)
        with service.use_tls(authority.issue("127.0.0.1"), authority.client()):
            target = posts(service.api.url, authority.ca_file)
            encrypted = driving(stand, target, CLIENTS, service_pid=service.pid)
            pairs = by_turns(name, effort, encrypted, driving(stand, posts(stand.service_url), CLIENTS))
    return [figure(name, "ms", costs(pairs), goal=Goal(1.15, of="ratio"), failed=failures(pairs))]


def posts(url: str, ca_file: Path | None = None) -> WireTarget:
    """Single events; ``ca_file`` vouches for a service that speaks TLS."""
    return WireTarget(url, [Request("POST", EVENTS, body) for body in audit_rows.bodies()], ca_file=ca_file)


def batch(stand: Stand, effort: Effort) -> list[Figure]:
    """Batches beside COPY of the same rows."""
    name = f"batches of {BATCH_EVENTS} events, {BATCH_CLIENTS} clients"
    copied = CopyInTarget(stand.app_url, audit_rows.COPY_IN, audit_rows.copied_rows())
    sides = batches(stand.service_url), copied
    pairs = compare(name, stand, effort, sides, clients=BATCH_CLIENTS)
    goal = Goal(0.5, of="ratio", is_least=True)
    speed = rates(pairs, factor=BATCH_EVENTS)
    return [figure(name, "events/s", speed, goal=goal, failed=failures(pairs))]


def batches(url: str) -> WireTarget:
    """Batches of five hundred."""
    return WireTarget(url, audit_rows.batches())


def empty_view(stand: Stand, effort: Effort) -> list[Figure]:
    """The service's worker beside gunicorn's own, both with a view that does nothing."""
    name = f"empty view under our worker, {CLIENTS} clients"
    ours = driving(stand, stand.ours.empty(), CLIENTS, service_pid=stand.ours.pid)
    stock = driving(stand, stand.stock.empty(), CLIENTS, service_pid=stand.stock.pid)
    pairs = by_turns(name, effort, ours, stock)
    goal = Goal(1.5, of="ratio", is_least=True)
    return [figure(name, "requests/s", rates(pairs), goal=goal, failed=failures(pairs))]
