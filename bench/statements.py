"""PostgreSQL's own ways to take rows: single INSERTs by pgbench, and COPY."""

import re
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.load import Call, Load
from datastorage.embedded.postgres import find_postgres_bin_dirs

_DONE = re.compile(r"actually processed: (\d+)")
_RATE = re.compile(r"tps = ([\d.]+)")
_UUID_BYTES = 16


@dataclass(frozen=True, slots=True)
class PgbenchTarget:
    """PostgreSQL under pgbench, each transaction one prepared statement."""

    url: str
    script: str

    def drive(self, clients: int, seconds: float) -> Load:
        """Run pgbench; it tells the rate and the mean, so every latency is the mean."""
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
            script.write(self.script)
            script.flush()
            arguments = [
                "-n",
                "-M",
                "prepared",
                "-j",
                "2",
                "-c",
                str(clients),
                "-T",
                f"{max(1, seconds):.0f}",
            ]
            answer = subprocess.run(  # noqa: S603 - our own command
                [_pgbench(), *arguments, "-f", script.name, self.url],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        done, rate = _DONE.search(answer), _RATE.search(answer)
        assert done is not None
        assert rate is not None
        elapsed_seconds = int(done[1]) / float(rate[1])
        return Load([clients * 1000 / float(rate[1])] * int(done[1]), 0, elapsed_seconds)


def _pgbench() -> Path:
    return next(file for folder in find_postgres_bin_dirs() if (file := folder / "pgbench").is_file())


@dataclass(frozen=True, slots=True)
class CopyInTarget:
    """PostgreSQL; a piece of work is a COPY of many rows, each with a random id in its first column."""

    url: str
    sql: str
    work: Sequence[Sequence[str]]
    repeats: bool = True

    @contextmanager
    def connected(self) -> Iterator[Call]:
        """Keep one connection."""
        with psycopg.connect(self.url, autocommit=True) as connection:

            def call(rows: Sequence[str]) -> bool:
                ids = secrets.token_hex(_UUID_BYTES * len(rows))
                width = 2 * _UUID_BYTES
                lines = [f"{ids[n * width : (n + 1) * width]}\t{row}\n" for n, row in enumerate(rows)]
                with connection.cursor() as cursor:
                    with cursor.copy(self.sql.encode()) as copy:
                        copy.write("".join(lines))
                    return cursor.rowcount == len(rows)

            yield call
