"""Nothing acknowledged is lost, nothing is stored twice: one fault after another, with real processes.

Slow on purpose, so it runs by its own command (``make chaos``) and prints the table of
``docs/operations.md``.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from tests.lab import faults
from tests.lab.faults import Fault
from tests.lab.ledger import Ledger, Verdict
from tests.lab.load import Load
from tests.lab.stand import Stand
from tests.support.builders import unique

BEFORE_SECONDS = 2.0
AFTER_SECONDS = 3.0


@dataclass(frozen=True)
class Case:
    """A fault and the stand it needs."""

    name: str
    fault: Fault
    months: tuple[str, ...] = ()
    postgres: dict[str, str] = field(default_factory=dict)
    redis: dict[str, str] = field(default_factory=dict)
    service: dict[str, str] = field(default_factory=dict)


EVERYSEC = {"appendfsync": "everysec"}
SMALL_POOL = {
    "DATABASE_MAX_OPEN_CONNS": "2",
    "DATABASE_MAX_IDLE_CONNS": "1",
    "DATABASE_POOL_TIMEOUT": "500ms",
}

CASES = [
    Case("PostgreSQL stopped, smart", faults.postgres_stopped(signal.SIGTERM)),
    Case("PostgreSQL stopped, fast", faults.postgres_stopped(signal.SIGINT)),
    Case("PostgreSQL stopped, immediate", faults.postgres_stopped(signal.SIGQUIT)),
    Case("PostgreSQL killed", faults.postgres_killed),
    Case("PostgreSQL frozen", faults.postgres_frozen),
    Case("PostgreSQL slow", faults.postgres_slow),
    Case("worker killed", faults.worker_killed),
    Case("arbiter killed", faults.arbiter_killed),
    Case("Redis killed, AOF always", faults.redis_killed),
    Case("Redis killed, AOF everysec", faults.redis_killed, redis=EVERYSEC),
    Case("Redis down", faults.redis_down),
    Case("Redis full", faults.redis_full),
    Case("both down", faults.both_down),
    Case("connections cut", faults.connections_cut),
    Case("commit answer lost", faults.commit_answer_lost),
    Case("black hole", faults.black_hole),
    Case("partition detached", faults.partition_detached, months=faults.MONTHS),
    Case("partition locked", faults.partition_locked, months=faults.MONTHS),
    Case("partition missing", faults.partition_missing, months=faults.MONTHS),
    Case("pool exhausted", faults.pool_exhausted, service=SMALL_POOL),
    Case("worker killed while replaying", faults.worker_killed_while_replaying),
    Case("two services replaying", faults.two_services_replaying),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_nothing_acknowledged_is_lost_or_stored_twice(
    case: Case, tmp_path: Path, record_row: "Recorder"
) -> None:
    verdict = run(case, tmp_path)

    record_row(case.name, verdict)
    assert verdict.lost == 0
    assert verdict.duplicated == 0
    assert verdict.other == 0
    assert verdict.answered_201 > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system to fill")
def test_a_full_disk_loses_nothing(tmp_path: Path, record_row: "Recorder") -> None:
    case = Case("disk full", faults.disk_full, postgres={"max_wal_size": "64MB", "wal_keep_size": "0"})

    with small_file_system(tmp_path / "postgres"):
        verdict = run(case, tmp_path)

    record_row(case.name, verdict)
    assert verdict.lost == 0
    assert verdict.duplicated == 0
    assert verdict.answered_202 > 0


def run(case: Case, directory: Path) -> Verdict:
    """Drive the load through one fault, heal it, wait for quiet, and compare."""
    ledger = Ledger(unique("lab"))
    with Stand(
        directory, postgres_settings=case.postgres, redis_settings=case.redis, **case.service
    ) as stand:
        if case.months:
            faults.make_months(stand)
        with Load(stand.service.api.url, ledger, months=case.months):
            time.sleep(BEFORE_SECONDS)
            with case.fault(stand):
                time.sleep(AFTER_SECONDS)
        stand.wait_until_quiet()
        with stand.owner() as connection:
            return ledger.compare(connection)


@contextmanager
def small_file_system(mount_point: Path) -> Iterator[None]:
    """Mount a tmpfs that a few megabytes of write-ahead log can fill."""
    mount_point.mkdir(parents=True)
    subprocess.run(  # noqa: S603 - a fixed command
        ["/bin/mount", "-t", "tmpfs", "-o", "size=192m", "tmpfs", mount_point], check=True
    )
    try:
        yield
    finally:
        subprocess.run(["/bin/umount", "--lazy", mount_point], check=True)  # noqa: S603 - as above


class Recorder:
    """Appends rows to the table that is printed at the end and kept as JSON."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[dict[str, object]] = []

    def __call__(self, name: str, verdict: Verdict) -> None:
        self._rows.append({"fault": name, **asdict(verdict)})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._rows, indent=2), encoding="utf-8")

    def table(self) -> str:
        """Return the rows as Markdown."""
        head = ("fault", "requests", "201", "202", "503", "no answer", "lost", "duplicated")
        keys = (
            "fault",
            "requests",
            "answered_201",
            "answered_202",
            "answered_503",
            "no_answer",
            "lost",
            "duplicated",
        )
        lines = [head, ("---",) * len(head), *(tuple(str(row[key]) for key in keys) for row in self._rows)]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


@pytest.fixture(scope="module")
def record_row(request: pytest.FixtureRequest) -> Iterator[Recorder]:
    recorder = Recorder(request.config.rootpath / "build" / "chaos.json")
    yield recorder
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line("")
        reporter.write_line(recorder.table())
