"""What access control costs: permissions, refusals, limits, audited reads, and a flood of random tokens."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

from bench.audit_reads import look_ups
from bench.audit_writes import CLIENTS, posts
from bench.figures import Figure, Goal, figure
from bench.flood import TOKENS_PER_SECOND, RandomTokens
from bench.load import Generator, Load
from bench.rounds import CLIENTS as READERS
from bench.rounds import Effort, Measure, by_turns, costs, driving, failures, latencies
from bench.stand import Stand
from bench.wire import WireTarget
from tests.support.review_server import Account, ReviewServer, review_server
from tests.support.service import ServiceProcess

WRITER = "writer"
SHOWN = f"Authorization: Bearer {WRITER}\r\n"
AMPLE = "100000000/minute"
"""A limit that is counted and never met."""


def permissions(stand: Stand, effort: Effort) -> list[Figure]:
    """A single event with a token whose review is kept, beside one that nobody asks about."""
    with _guarded(stand) as guarded:
        writing = driving(guarded, _posts(guarded), CLIENTS)
        return _cost(
            "a single event, kubernetes beside none", effort, writing, _open(stand), Goal(1.02, of="ratio")
        )


def refusals(stand: Stand, effort: Effort) -> list[Figure]:
    """A single event without a token on a connection that stays, beside one that is accepted."""
    with _guarded(stand, RATE_LIMIT_FAILURES="off") as guarded:
        nameless = replace(posts(guarded.service_url), success=b"HTTP/1.1 401")
        refused, accepted = (driving(guarded, each, CLIENTS) for each in (nameless, _posts(guarded)))
        return _cost(
            "a refused event beside an accepted one", effort, refused, accepted, Goal(0.3, of="ratio")
        )


def random_tokens(stand: Stand, effort: Effort) -> list[Figure]:
    """Single events while another client tries a thousand tokens a second, beside the same without."""
    name = f"single events, {TOKENS_PER_SECOND:,} random tokens/s"
    with _guarded(stand) as guarded, closing(Generator()) as other, ThreadPoolExecutor(1) as beside:
        writing = driving(guarded, _posts(guarded), CLIENTS)
        tokens = RandomTokens(guarded.service_url)

        def flooded(seconds: float) -> Load:
            flood = beside.submit(other.drive, tokens, clients=1, seconds=seconds)
            load = writing(seconds)
            flood.result()
            return load

        return latencies(
            name, by_turns(name, effort, flooded, writing), {50: None, 99: Goal(2.0, of="ratio")}
        )


def limits(stand: Stand, effort: Effort) -> list[Figure]:
    """A single event that is counted, beside one that is not."""
    with another(stand, RATE_LIMIT_WRITES=AMPLE, RATE_LIMIT_READS=AMPLE) as counting:
        counted = driving(counting, posts(counting.service_url), CLIENTS)
        return _cost(
            "a single event, limits on beside off", effort, counted, _open(stand), Goal(1.02, of="ratio")
        )


def audited_reads(stand: Stand, effort: Effort) -> list[Figure]:
    """Pages by correlation id that leave an event each, beside pages that leave none."""
    name = "events by correlation id, all reads audited"
    with another(stand, AUTH_AUDIT_READS="all") as audited:
        sides = [driving(each, look_ups(each.service_url), READERS) for each in (audited, stand)]
        return latencies(name, by_turns(name, effort, *sides), {50: Goal(1.2, of="ratio"), 99: None})


def _cost(what: str, effort: Effort, measured: Measure, baseline: Measure, goal: Goal) -> list[Figure]:
    name = f"processor time of {what}"
    pairs = by_turns(name, effort, measured, baseline)
    return [figure(name, "ms", costs(pairs), goal=goal, failed=failures(pairs))]


def _open(stand: Stand) -> Measure:
    return driving(stand, posts(stand.service_url), CLIENTS)


def _posts(guarded: Stand) -> WireTarget:
    return replace(posts(guarded.service_url), shown=SHOWN)


@contextmanager
def _guarded(stand: Stand, **settings: str) -> Iterator[Stand]:
    """Start a service that asks an API server, which knows one writer."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="datastorage-bench-")))
        reviews: ReviewServer = stack.enter_context(review_server(directory))
        reviews.accounts[WRITER] = Account("system:serviceaccount:bench:writer", frozenset({"create"}))
        yield stack.enter_context(another(stand, **reviews.settings, **settings))


@contextmanager
def another(stand: Stand, **settings: str) -> Iterator[Stand]:
    """Start one more service on the same servers."""
    with (
        tempfile.TemporaryDirectory(prefix="datastorage-bench-") as directory,
        ServiceProcess(Path(directory), stand.app_url, stand.redis_url, **settings) as service,
    ):
        yield replace(stand, service_url=service.api.url, service_pid=service.pid)
