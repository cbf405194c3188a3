"""``python -m bench.soak``: does anything grow when half of the possible load goes on for an hour?

First a closed loop finds how many requests of the mix per second are possible here, then the same mix
comes at a fixed rate. After every window the processes, the connections and the latencies are looked at;
in the end the last fifth of the windows is set against the first fifth after the warm-up.
"""

import itertools
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, LiteralString

import click
import psutil
import psycopg
import urllib3

from bench.stand import servers
from datastorage.embedded.stack import APP_ROLE, DATABASE
from datastorage.platform.clock import monotonic_seconds
from tests.support.builders import BATCH, EVENTS, an_event
from tests.support.service import ServiceProcess

RESULTS = Path(__file__).parent / "results" / "soak.json"
CLIENTS = 32
WARM_UP_SECONDS = 5
CEILING_SECONDS = 15
FIRST_WINDOWS = 0.1
"""That share of the windows is not compared: caches fill, PostgreSQL learns what the table is like."""
EDGE = 5
"""The windows that are compared: one in so many, at each end."""
MIX = 20
"""Of so many requests one is a batch, three are queries, the rest are single events."""
MAXIMUM_GROWTH = 0.05
MAXIMUM_P99_RATIO = 1.2


@dataclass(frozen=True, slots=True)
class Window:
    """What one window showed.

    Attributes:
        per_second: answers with a 2xx status.
        failed: every other answer, and requests without one.
        p50_ms: from the instant a request was due, so that a stall counts for all who waited.
        memory_mib: resident memory of the arbiter and its workers.
        connections: of the service to PostgreSQL.
        database_mib: what the events take by now. When that is more than fits into memory, a slower minute
            is the disk's.
    """

    per_second: float
    failed: int
    p50_ms: float
    p99_ms: float
    memory_mib: float
    threads: int
    files: int
    connections: int
    database_mib: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One quantity at both ends of the soak, and whether it stayed."""

    name: str
    first: float
    last: float
    bound: str
    met: bool


@click.command()
@click.option("--minutes", default=60.0, show_default=True, help="How long the steady load lasts.")
@click.option("--window", default=60.0, show_default=True, help="Seconds between two looks at the service.")
@click.option("--share", default=0.5, show_default=True, help="Of the rate that is possible here.")
def main(minutes: float, window: float, share: float) -> None:
    """Keep the service under a steady load and see whether anything grows."""
    with tempfile.TemporaryDirectory(prefix="datastorage-soak-") as name:
        directory = Path(name)
        with servers(directory) as (postgres, redis):
            app_url = postgres.url(DATABASE, APP_ROLE)
            with ServiceProcess(directory / "service", app_url, redis.url) as service:
                rate, windows = _soak(service, app_url, max(1, round(minutes * 60 / window)), window, share)
    verdicts = judge(windows)
    click.echo(report(verdicts))
    _write(rate, windows, verdicts)
    click.echo(f"Written to {RESULTS}.")
    sys.exit(0 if all(verdict.met for verdict in verdicts) else 1)


def _soak(
    service: ServiceProcess, database_url: str, count: int, seconds: float, share: float
) -> tuple[float, list[Window]]:
    windows: list[Window] = []
    begin = 0
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as generator:

        def sent(duration: float, per_second: float | None) -> tuple[list[float], int]:
            nonlocal begin
            arguments = service.api.url, duration, begin, per_second
            latencies, failed = generator.submit(drive, *arguments).result()
            begin += len(latencies) + failed + CLIENTS
            return latencies, failed

        sent(WARM_UP_SECONDS, None)
        possible = len(sent(CEILING_SECONDS, None)[0]) / CEILING_SECONDS
        rate = share * possible
        click.echo(f"{possible:.0f} requests/s are possible, {rate:.0f}/s are sent.")
        with click.progressbar(range(count), label="soak") as progress:
            for _ in progress:
                windows.append(look(service.pid, database_url, *sent(seconds, rate), seconds))
                # As it goes on: whoever waits can look, and a run that is ended has told what it saw.
                _write(rate, windows)
    return rate, windows


def _write(rate: float, windows: Sequence[Window], verdicts: Sequence[Verdict] = ()) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    found = {"rate": rate, "windows": list(map(asdict, windows)), "verdicts": list(map(asdict, verdicts))}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def drive(url: str, seconds: float, begin: int, rate: float | None) -> tuple[list[float], int]:
    """Send the mix, numbered from ``begin``; without a rate as fast as answers come.

    Returns:
        The latency of every 2xx in milliseconds, and how many other answers there were.
    """
    numbers = itertools.count()
    start = monotonic_seconds()
    failed = itertools.count()
    ready = threading.Barrier(CLIENTS)

    def client() -> list[float]:
        latencies: list[float] = []
        with urllib3.connection_from_url(url, maxsize=1, retries=False, timeout=60) as pool:
            ready.wait()
            for number in numbers:
                due = monotonic_seconds() if rate is None else start + number / rate
                if due >= start + seconds:
                    break
                time.sleep(max(0.0, due - monotonic_seconds()))
                if _ask(pool, begin + number):
                    latencies.append((monotonic_seconds() - due) * 1000)
                else:
                    next(failed)
        return latencies

    with ThreadPoolExecutor(CLIENTS) as threads:
        done = [each.result() for each in [threads.submit(client) for _ in range(CLIENTS)]]
    return [latency for latencies in done for latency in latencies], next(failed)


def _ask(pool: urllib3.HTTPConnectionPool, number: int) -> bool:
    turn = number % MIX
    # Ten requests share a story, so that a query finds about as many rows in the last minute as in the first.
    story = f"rr-soak-{number // MIX}"
    headers = {"Content-Type": "application/json"}
    try:
        if turn == 0:
            events = [an_event(correlation_id=story) for _ in range(100)]
            answer = pool.request("POST", BATCH, body=json.dumps(events), headers=headers)
        elif turn % 6 == 0:
            answer = pool.request("GET", f"{EVENTS}?correlation_id=rr-soak-{max(0, number // MIX - 50)}")
        else:
            event = json.dumps(an_event(correlation_id=story))
            answer = pool.request("POST", EVENTS, body=event, headers=headers)
    except urllib3.exceptions.HTTPError:
        return False
    return bool(answer.data) and answer.status in {200, 201}


def look(pid: int, database_url: str, latencies: Sequence[float], failed: int, seconds: float) -> Window:
    """Return what the service holds right now, beside the latencies of the window that just ended."""
    arbiter = psutil.Process(pid)
    processes = [arbiter, *arbiter.children()]
    percentiles = statistics.quantiles(latencies, n=100, method="inclusive")
    return Window(
        per_second=round(len(latencies) / seconds, 1),
        failed=failed,
        p50_ms=round(percentiles[49], 2),
        p99_ms=round(percentiles[98], 2),
        memory_mib=round(sum(each.memory_info().rss for each in processes) / 2**20, 1),
        threads=sum(each.num_threads() for each in processes),
        files=sum(each.num_fds() for each in processes),
        connections=_number(database_url, _CONNECTIONS),
        database_mib=_number(database_url, _SIZE),
    )


_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'datastorage/%'"
_SIZE = "SELECT pg_database_size(current_database()) / 1024 / 1024"


def _number(database_url: str, query: LiteralString) -> int:
    with psycopg.connect(database_url, autocommit=True) as connection:
        row: Any = connection.execute(query).fetchone()
        return int(row[0])


def judge(windows: Sequence[Window]) -> list[Verdict]:
    """Set the last fifth of the windows against the first fifth after the warm-up."""
    steady = windows[int(len(windows) * FIRST_WINDOWS) :]
    edge = max(1, len(steady) // EDGE)
    first, last = steady[:edge], steady[-edge:]
    grown = f"<= {1 + MAXIMUM_GROWTH:g} x"
    return [
        _compare("resident memory, MiB", "memory_mib", first, last, (grown, 1 + MAXIMUM_GROWTH)),
        _compare("threads", "threads", first, last, (grown, 1 + MAXIMUM_GROWTH)),
        _compare("open files", "files", first, last, (grown, 1 + MAXIMUM_GROWTH)),
        _compare("connections", "connections", first, last, ("<= 1 x", 1)),
        _compare("p99, ms", "p99_ms", first, last, (f"<= {MAXIMUM_P99_RATIO:g} x", MAXIMUM_P99_RATIO)),
        _nothing_failed(windows),
        Verdict("database, MiB", first[0].database_mib, last[-1].database_mib, "", met=True),
    ]


def _compare(
    name: str, member: str, first: Sequence[Window], last: Sequence[Window], bound: tuple[str, float]
) -> Verdict:
    before = statistics.median(getattr(window, member) for window in first)
    after = statistics.median(getattr(window, member) for window in last)
    return Verdict(name, before, after, bound[0], after <= before * bound[1])


def _nothing_failed(windows: Sequence[Window]) -> Verdict:
    failed = sum(window.failed for window in windows)
    return Verdict("failed requests", 0, failed, "0", failed == 0)


def report(verdicts: Sequence[Verdict]) -> str:
    """Return a table for people."""
    lines = [f"{'QUANTITY':24}{'FIRST':>12}{'LAST':>12}{'RATIO':>8}  GOAL      MET"]
    for each in verdicts:
        ratio = f"{each.last / each.first:.2f}" if each.first else "-"
        met = ("yes" if each.met else "NO") if each.bound else ""
        lines.append(f"{each.name:24}{each.first:12g}{each.last:12g}{ratio:>8}  {each.bound:10}{met}")
    return "\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
