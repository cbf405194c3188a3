"""``python -m bench.soak``: does anything grow when half of the possible load goes on for an hour?

First a closed loop finds how many requests of the mix per second are possible here, then the same mix
comes at a fixed rate. After every window the processes, the connections and the latencies are looked at;
in the end the last fifth of the windows is set against the first fifth after the warm-up. Whether requests
take longer than in the beginning is asked by turns with a new service: machines have slow hours.
"""

import json
import math
import secrets
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, LiteralString, NoReturn

import click
import psutil
import psycopg

from bench.hostile import POD_MIB, Look, endure
from bench.load import Generator, Load
from bench.mix import MixTarget
from bench.rounds import take_turns
from bench.stand import servers
from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.embedded.stack import APP_ROLE, DATABASE, OWNER_ROLE, migrate
from tests.support.service import ServiceProcess

RESULTS = Path(__file__).parent / "results" / "soak.json"
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """One quantity at both ends of the soak, and whether it stayed.

    Without a bound it is there to explain its neighbours.
    """

    name: str
    first: float
    last: float
    ratio: float | None
    bound: str
    met: bool


@click.command()
@click.option("--minutes", default=60.0, show_default=True, help="How long the steady load lasts.")
@click.option("--window", default=60.0, show_default=True, help="Seconds between two looks at the service.")
@click.option("--share", default=0.5, show_default=True, help="Of the rate that is possible here.")
@click.option("--hostile", is_flag=True, help="Send the most expensive bodies instead, and watch the memory.")
def main(minutes: float, window: float, share: float, *, hostile: bool) -> None:
    """Keep the service under a steady load and see whether anything grows."""
    # As Ctrl-C does: stop what was started, and remove the folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="datastorage-soak-") as name:
        directory = Path(name)
        with servers(directory) as (postgres, redis), ExitStack() as stack:
            generator = Generator()
            stack.callback(generator.close)
            app_url = postgres.url(DATABASE, APP_ROLE)
            service = stack.enter_context(ServiceProcess(directory / "service", app_url, redis.url))
            windows = max(1, round(minutes * 60 / window))
            if hostile:
                _conclude(judge_memory(endure(service, windows, window)))
            soak = Soak(generator, service, app_url, window)
            soak.go_on(windows, share)
            new_url = _new_database(postgres)
            new = stack.enter_context(ServiceProcess(directory / "new", new_url, redis.url))
            verdicts = [*judge(soak.windows), soak.compare(new)]
    soak.write(verdicts)
    click.echo(f"Written to {RESULTS}.")
    _conclude(verdicts)


def _conclude(verdicts: Sequence[Verdict]) -> NoReturn:
    click.echo(report(verdicts))
    sys.exit(0 if all(verdict.met for verdict in verdicts) else 1)


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

    def go_on(self, count: int, share: float) -> None:
        """Find out what is possible, and send a share of it for so many windows."""
        self._send(self._service, WARM_UP_SECONDS)
        possible = self._send(self._service, CEILING_SECONDS).per_second
        self._rate = share * possible
        click.echo(f"{possible:.0f} requests/s are possible, {self._rate:.0f}/s are sent.")
        with click.progressbar(range(count), label="soak") as progress:
            for _ in progress:
                load = self._send(self._service, self._seconds)
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


def _new_database(postgres: EmbeddedPostgres) -> str:
    name = f"new_{secrets.token_hex(4)}"
    postgres.create_database(name, owner=OWNER_ROLE)
    migrate(postgres.url(name, OWNER_ROLE))
    return postgres.url(name, APP_ROLE)


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


def judge_memory(looks: Sequence[Look]) -> list[Verdict]:
    """Bound the most memory, and set what was left after the last window against the first."""
    peak, first, last = max(look.peak_mib for look in looks), looks[0].rest_mib, looks[-1].rest_mib
    grown = 1 + MAXIMUM_GROWTH
    return [
        Verdict("peak memory, MiB", looks[0].peak_mib, peak, None, f"< {POD_MIB}", peak < POD_MIB),
        Verdict("memory at rest, MiB", first, last, last / first, f"<= {grown:g} x", last <= grown * first),
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


def report(verdicts: Sequence[Verdict]) -> str:
    """Return a table for people."""
    lines = [f"{'QUANTITY':24}{'FIRST':>12}{'LAST':>12}{'RATIO':>8}  GOAL      MET"]
    for each in verdicts:
        ratio = "-" if each.ratio is None else f"{each.ratio:.2f}"
        met = ("yes" if each.met else "NO") if each.bound else ""
        lines.append(f"{each.name:24}{each.first:12.5g}{each.last:12.5g}{ratio:>8}  {each.bound:10}{met}")
    return "\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
