"""Does anything grow when half of the possible load goes on for an hour?

First a closed loop finds how many requests of the mix per second are possible here, then the same mix
comes at a fixed rate. After every window the processes, the connections and the latencies are looked at;
in the end the last fifth of the windows is set against the first fifth after the warm-up. Whether requests
take longer than in the beginning is asked by turns with a new service: machines have slow hours.
"""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, LiteralString

import click
import psutil
import psycopg

from bench.followers import following
from bench.load import Generator, Load
from bench.mix import MixTarget
from bench.rounds import take_turns
from bench.soak.verdicts import Verdict
from tests.support.service import ServiceProcess

RESULTS = Path(__file__).parents[1] / "results" / "soak.json"
FOLLOWERS = 100
CLIENTS = 32
WARM_UP_SECONDS = 5
CEILING_SECONDS = 15
FIRST_WINDOWS = 0.1
"""That share of the windows is not compared: caches fill, PostgreSQL learns what the table is like."""
EDGE = 5
"""The windows that are compared: one in so many, at each end."""
TURNS = 6
"""Of the service that has run for long and of a new one, each half a window."""
UNCOUNTED_TURNS = 2
"""Before them: both get used to the rate."""
MAXIMUM_GROWTH = 0.05
MAXIMUM_P99_RATIO = 1.2


@dataclass(frozen=True, slots=True)
class Window:
    """What one window showed.

    Attributes:
        per_second: answers 200 and 201.
        generator_us: processor time of the generator for each request, which is always the same work:
            where it is more, the machine was slower.
        memory_mib: resident memory of the arbiter and its workers.
        connections: of the service to PostgreSQL.
        database_mib: what the events take by now. When that is more than fits into memory, a slower minute
            is the disk's.
    """

    per_second: float
    failed: int
    p50_ms: float
    p99_ms: float
    generator_us: float
    memory_mib: float
    threads: int
    files: int
    connections: int
    database_mib: float


class Soak:
    """One long run.

    Args:
        generator: where requests come from.
        service: whom they go to.
        database_url: its database.
        seconds: length of a window.
    """

    def __init__(
        self, generator: Generator, service: ServiceProcess, database_url: str, seconds: float
    ) -> None:
        self.windows: list[Window] = []
        self._generator = generator
        self._service = service
        self._database_url = database_url
        self._seconds = seconds
        self._rate: float | None = None
        self._next_number = 0

    def choose_rate(self, share: float) -> None:
        """Find out what is possible, and send a share of it from now on."""
        self._send(self._service, WARM_UP_SECONDS)
        possible = self._send(self._service, CEILING_SECONDS).per_second
        self._rate = share * possible
        click.echo(f"{possible:.0f} requests/s are possible, {self._rate:.0f}/s are sent.")

    def send(self) -> Load:
        """Send the load of one window."""
        return self._send(self._service, self._seconds)

    def go_on(self, count: int) -> None:
        """Go on for so many windows, beside followers of the feed."""
        with (
            following(self._service.api.url, FOLLOWERS),
            click.progressbar(range(count), label="soak") as progress,
        ):
            for _ in progress:
                load = self.send()
                self.windows.append(look(self._service.pid, self._database_url, load))
                # As it goes on: whoever waits can look, and a run that is ended has told what it saw.
                self.write()

    def compare(self, new: ServiceProcess) -> Verdict:
        """Ask the service and a new one by turns, at the same rate."""
        sides = partial(self._send, self._service), partial(self._send, new)
        turns = take_turns("beside a new service", UNCOUNTED_TURNS + TURNS, self._seconds / 2, sides)
        counted = [(old.percentile(99), fresh.percentile(99)) for old, fresh in turns[UNCOUNTED_TURNS:]]
        ratio = statistics.median(old / fresh for old, fresh in counted)
        last, first = (statistics.median(each) for each in zip(*counted, strict=True))
        bound = f"<= {MAXIMUM_P99_RATIO:g} x"
        return Verdict(
            "p99, new and old, ms", first, last, round(ratio, 3), bound, ratio <= MAXIMUM_P99_RATIO
        )

    def _send(self, service: ServiceProcess, seconds: float) -> Load:
        target = MixTarget(service.api.url, self._rate, self._next_number)
        load = self._generator.drive(target, clients=CLIENTS, seconds=seconds)
        self._next_number += len(load.latencies_ms) + load.failed + CLIENTS
        return load

    def write(self, verdicts: Sequence[Verdict] = ()) -> None:
        """Write what was seen so far."""
        RESULTS.parent.mkdir(exist_ok=True)
        windows, judged = list(map(asdict, self.windows)), list(map(asdict, verdicts))
        found = {"rate": self._rate, "windows": windows, "verdicts": judged}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def look(pid: int, database_url: str, load: Load) -> Window:
    """Return what the service holds right now, beside the latencies of the window that just ended."""
    arbiter = psutil.Process(pid)
    processes = [arbiter, *arbiter.children()]
    return Window(
        per_second=round(load.per_second, 1),
        failed=load.failed,
        p50_ms=round(load.percentile(50), 2),
        p99_ms=round(load.percentile(99), 2),
        generator_us=round((load.generator_seconds or 0.0) * 1e6 / len(load.latencies_ms)),
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
        _nothing_failed(windows),
        _compare("p99, ms", "p99_ms", first, last),
        _compare("generator, us/request", "generator_us", first, last),
        _compare("database, MiB", "database_mib", first, last),
    ]


def _compare(
    name: str,
    member: str,
    first: Sequence[Window],
    last: Sequence[Window],
    bound: tuple[str, float] = ("", math.inf),
) -> Verdict:
    before = statistics.median(getattr(window, member) for window in first)
    after = statistics.median(getattr(window, member) for window in last)
    ratio = after / before
    return Verdict(name, before, after, round(ratio, 3), bound[0], ratio <= bound[1])


def _nothing_failed(windows: Sequence[Window]) -> Verdict:
    failed = sum(window.failed for window in windows)
    return Verdict("failed requests", 0, failed, None, "0", failed == 0)
