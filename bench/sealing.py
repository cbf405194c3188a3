"""What the ledger does behind writes: how fast a backlog is sealed, what is kept, how proofs are answered."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import click
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench import audit_rows
from bench.audit_rows import BATCH_EVENTS, EVENTS
from bench.audit_writes import batches
from bench.figures import Figure, Goal, Round, figure
from bench.load import HttpTarget, Request
from bench.rounds import Effort, by_turns, driving, latencies
from bench.stand import Stand, settle
from datastorage.embedded.stack import APP_ROLE, OWNER_ROLE, migrate
from datastorage.ledger.store import LedgerStore
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings
from tests.support.builders import an_event
from tests.support.exposition import Scrape
from tests.support.http import Api
from tests.support.service import ServiceProcess
from tests.support.waiting import eventually

PARTITIONS: Final = 12
SEAL_BATCH: Final = 4096
CHAIN_EVENTS: Final = 1000
SAMPLES: Final = 30
STEADY_PER_SECOND: Final = 2000
PROMISED_SECONDS: Final = 2.0

_WAIT = "INSERT INTO audit_unsealed (event_id, event_date) SELECT event_id, event_date FROM audit_events"
_KEPT = """
    SELECT sum(pg_total_relation_size(relid)) FROM (
        SELECT relid FROM pg_partition_tree('ledger_entries') WHERE isleaf
        UNION SELECT unnest(ARRAY['ledger_tiles'::regclass, 'ledger_checkpoints'::regclass])) AS kept (relid)
"""


def sealing(stand: Stand, effort: Effort) -> list[Figure]:
    """A backlog beside COPY of its leaves, the bytes that stay, the WAL of one, proofs, steady writes."""
    with _store(stand, effort.audit_rows) as filled:
        figures = _backlog(filled, effort.audit_rows)
        with _service(stand, filled) as (served, service):
            figures += _log_of_one(filled, service.api)
            figures += _answers(served, service.api, effort)
            figures.append(_in_time(service, effort))
    return figures


@dataclass(frozen=True, slots=True)
class _Filled:
    """A database whose events all wait for their leaves."""

    owner_url: str
    app_url: str
    store: LedgerStore

    def value(self, sql: str) -> float:
        """Return one number."""
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            row = connection.execute(sql.encode()).fetchone()
        assert row is not None
        return float(row[0])


@contextmanager
def _store(stand: Stand, rows: int) -> Iterator[_Filled]:
    stand.postgres.create_database("bench_ledger", owner=OWNER_ROLE)
    owner_url = stand.postgres.url("bench_ledger", OWNER_ROLE)
    app_url = stand.postgres.url("bench_ledger", APP_ROLE)
    migrate(owner_url)
    audit_rows.fill(owner_url, rows, PARTITIONS)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(_WAIT.encode())
    settle(stand.postgres.url("bench_ledger"))
    environ = {"DATASTORAGE_DATABASE_URL": app_url, "DATASTORAGE_REDIS_URL": stand.redis_url}
    database = Database(Settings.from_environ(environ).database, share=1, metrics=Metrics())
    yield _Filled(owner_url, app_url, LedgerStore(database))
    database.close()


def _backlog(filled: _Filled, rows: int) -> list[Figure]:
    before = filled.value(_KEPT)
    begun = monotonic_seconds()
    with click.progressbar(length=rows, label=f"seal {rows:,} events".ljust(42)) as progress:
        while (sealed := filled.store.seal(SEAL_BATCH)) is not None and sealed.leaves:
            progress.update(sealed.leaves)
    speed = rows / (monotonic_seconds() - begun)
    kept = (filled.value(_KEPT) - before) / rows
    return [
        figure(
            "sealing of a backlog, beside COPY of its leaves",
            "events/s",
            [Round(speed, rows / _copied(filled))],
            goal=Goal(20_000, is_least=True),
        ),
        figure("bytes that stay of a leaf, beside its 57", "bytes", [Round(kept, 57)], goal=Goal(220)),
    ]


def _copied(filled: _Filled) -> float:
    """Return the seconds that COPY takes for the same rows into a table with the same indexes."""
    with psycopg.connect(filled.owner_url, autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE copied (LIKE ledger_entries INCLUDING ALL)")
        with cursor.copy("COPY (TABLE ledger_entries) TO STDOUT") as copy:
            rows = b"".join(copy)
        begun = monotonic_seconds()
        with cursor.copy("COPY copied FROM STDIN") as copy:
            copy.write(rows)
        seconds = monotonic_seconds() - begun
        cursor.execute("DROP TABLE copied")
    return seconds


@contextmanager
def _service(stand: Stand, filled: _Filled) -> Iterator[tuple[Stand, ServiceProcess]]:
    with tempfile.TemporaryDirectory(prefix="datastorage-bench-") as directory:
        key = Path(directory) / "key.pem"
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key.write_bytes(pem)
        settings = {"LEDGER_SIGNING_KEY_FILE": str(key), "LEDGER_ORIGIN": "bench.example.org/ledger"}
        folder = Path(directory) / "service"
        with ServiceProcess(folder, filled.app_url, stand.redis_url, **settings) as service:
            yield replace(stand, service_url=service.api.url, service_pid=service.pid), service


def _log_of_one(filled: _Filled, api: Api) -> list[Figure]:
    """Compare what sealing of one event writes to the log of PostgreSQL with what its write wrote.

    The lock is held meanwhile, so that the service seals nothing by itself.
    """
    rounds = []
    with psycopg.connect(filled.owner_url, autocommit=True) as holder:
        lock = "(hashtextextended('datastorage.ledger', 0))"
        for _ in range(SAMPLES):
            holder.execute(f"SELECT pg_advisory_lock{lock}".encode())
            written = _logged(filled, lambda: _stored(api))
            holder.execute(f"SELECT pg_advisory_unlock{lock}".encode())
            sealed = _logged(filled, lambda: _sealed(filled))
            rounds.append(Round(sealed, written))
    # Pages that change for the first time since a checkpoint are logged whole: those samples are no measure.
    usual = statistics.median(each.value + each.baseline for each in rounds)
    rounds = [each for each in rounds if each.value + each.baseline <= 1.5 * usual]
    return [figure("log of sealing one event, beside its write", "bytes", rounds, goal=Goal(0.4, of="ratio"))]


def _logged(filled: _Filled, work: Callable[[], object]) -> float:
    position = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"
    before = filled.value(position)
    work()
    return filled.value(position) - before


def _stored(api: Api) -> None:
    assert api.post(EVENTS, an_event()).status == 201  # noqa: PLR2004 - Created


def _sealed(filled: _Filled) -> None:
    """Seal what waits, or see that the service was faster."""
    eventually(lambda: filled.value("SELECT count(*) FROM audit_unsealed") == 0 or _seals(filled))


def _seals(filled: _Filled) -> bool:
    return filled.store.seal(SEAL_BATCH) is not None


def _answers(stand: Stand, api: Api, effort: Effort) -> list[Figure]:
    """Proofs beside the events that they prove, and a chain of a thousand beside the page of its events."""
    chain = "rr-chain"
    ids: list[str] = []
    for _ in range(CHAIN_EVENTS // BATCH_EVENTS):
        events = [an_event(correlation_id=chain) for _ in range(BATCH_EVENTS)]
        ids += api.post(f"{EVENTS}/batch", events).json["event_ids"]
    eventually(lambda: api.get(f"{EVENTS}/{ids[-1]}/proof").status == 200)  # noqa: PLR2004 - OK
    proofs, texts = (
        HttpTarget(stand.service_url, [Request("GET", f"{EVENTS}/{each}{tail}") for each in ids])
        for tail in ("/proof", "")
    )
    body = f'{{"correlation_id":"{chain}"}}'.encode()
    verified = HttpTarget(stand.service_url, [Request("POST", "/api/v1/audit/verify-chain", body)])
    page = HttpTarget(
        stand.service_url, [Request("GET", f"{EVENTS}?correlation_id={chain}&limit={CHAIN_EVENTS}")]
    )
    figures = []
    for what, target, baseline, goal in (
        (f"proof, {effort.audit_rows:,} leaves", proofs, texts, Goal(2)),
        (f"verify-chain of {CHAIN_EVENTS:,} events", verified, page, Goal(100)),
    ):
        sides = [driving(stand, each, 1) for each in (target, baseline)]
        figures += latencies(what, by_turns(what, effort, *sides), {50: goal, 99: None})
    return figures


def _in_time(service: ServiceProcess, effort: Effort) -> Figure:
    """Return the share of events that were sealed in time, of a steady two thousand a second."""
    seconds = round(effort.seconds * 12)
    requests = batches(service.api.url).work
    before = _lags(service)
    began = monotonic_seconds()
    sent = 0
    with click.progressbar(range(seconds), label="events at a steady rate".ljust(42)) as progress:
        for second in progress:
            for number in range(STEADY_PER_SECOND // BATCH_EVENTS):
                request = requests[(second + number) % len(requests)]
                answer = service.api.post(request.path, body=request.body)
                assert answer.status == 201  # noqa: PLR2004 - Created
                sent += BATCH_EVENTS
            time.sleep(max(0.0, began + second + 1 - monotonic_seconds()))
    eventually(lambda: _lags(service)[1] - before[1] >= sent)
    in_time, every = (after - at for after, at in zip(_lags(service), before, strict=True))
    name = f"sealed within {PROMISED_SECONDS:g} s, {STEADY_PER_SECOND:,} events/s for {seconds} s"
    return figure(name, "share", [Round(in_time / every, 1)], goal=Goal(0.99, is_least=True))


def _lags(service: ServiceProcess) -> tuple[float, float]:
    scrape = Scrape(service.metrics_api)
    name = "ledger_seal_lag_seconds"
    return scrape.value(f"{name}_bucket", le=str(PROMISED_SECONDS)), scrape.value(f"{name}_count")
