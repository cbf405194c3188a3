"""The table of cases: which fault, on which stand, and what proves that the fault was felt."""

import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import faults
from tests.lab.faults import Fault
from tests.lab.ledger import Ledger, Verdict
from tests.lab.load import Load, Mix
from tests.lab.stand import Stand
from tests.support.builders import unique

SETTLE_SECONDS = 2.5
"""How long the load goes on before the fault and after it."""

UNREACHABLE = "db_unreachable"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What must be seen, lest a fault that did nothing passes for one that was survived.

    Args:
        answers: fields of the verdict that must be above 0.
        reason: a word that the services must have logged.
        slowest_seconds: the longest wait for an answer is at least this.
    """

    answers: tuple[str, ...] = ()
    reason: str | None = None
    slowest_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """A fault, the stand it needs, and the proof that it happened.

    ``is_outcome_unknown``: queueing itself is cut off, so a record that was refused with 503 may be there.
    ``may_give_up``: workers die so often that the records they held look like the cause.
    """

    name: str
    fault: Fault
    proof: Proof
    mix: Mix = field(default_factory=Mix)
    postgres: dict[str, str] = field(default_factory=dict)
    redis: dict[str, str] = field(default_factory=dict)
    service: dict[str, str] = field(default_factory=dict)
    is_outcome_unknown: bool = False
    may_give_up: bool = False

    def check(self, verdict: Verdict, reasons: set[str]) -> None:
        """Compare what was promised with what was kept, after making sure that the fault was felt.

        Raises:
            AssertionError: a promise was broken, or nothing happened.
        """
        assert [name for name in self.proof.answers if getattr(verdict, name) == 0] == [], verdict
        assert self.proof.reason is None or self.proof.reason in reasons, reasons
        assert verdict.slowest_seconds >= self.proof.slowest_seconds
        assert verdict.answered_201 > 0
        assert verdict.lost == 0, verdict
        assert verdict.duplicated == 0, verdict
        assert verdict.other == 0, verdict
        assert self.is_outcome_unknown or verdict.refused_but_stored == 0, verdict
        assert self.may_give_up or verdict.given_up == 0, verdict


QUEUED = ("answered_202",)
QUEUED_AND_REFUSED = ("answered_202", "answered_503")
EVERYSEC = {"appendfsync": "everysec"}
SMALL_POOL = {
    "DATABASE_MAX_OPEN_CONNS": "2",
    "DATABASE_MAX_IDLE_CONNS": "1",
    "DATABASE_POOL_TIMEOUT": "500ms",
}

POSTGRES_KILLED = Case(
    name="PostgreSQL killed",
    fault=faults.postgres_killed,
    proof=Proof(answers=QUEUED, reason=UNREACHABLE),
)
COMMIT_ANSWER_LOST = Case(
    name="commit answer lost",
    fault=faults.commit_answer_lost,
    proof=Proof(answers=QUEUED, reason=UNREACHABLE),
)
DISK_FULL = Case(
    name="disk full",
    fault=faults.disk_full,
    proof=Proof(answers=QUEUED),
    postgres={"max_wal_size": "64MB", "wal_keep_size": "0"},
)

CASES = [
    *(
        Case(
            name=f"PostgreSQL stopped, {how}",
            fault=faults.postgres_stopped(number),
            proof=Proof(answers=QUEUED, reason=UNREACHABLE),
        )
        for how, number in (
            ("smart", signal.SIGTERM),
            ("fast", signal.SIGINT),
            ("immediate", signal.SIGQUIT),
        )
    ),
    POSTGRES_KILLED,
    Case(
        name="PostgreSQL frozen",
        fault=faults.postgres_frozen,
        proof=Proof(answers=QUEUED, slowest_seconds=2),
    ),
    Case(name="PostgreSQL slow", fault=faults.postgres_slow, proof=Proof(slowest_seconds=0.3)),
    Case(name="worker killed", fault=faults.worker_killed, proof=Proof(answers=("no_answer",))),
    Case(name="arbiter killed", fault=faults.arbiter_killed, proof=Proof(answers=("no_answer",))),
    *(
        Case(
            name=f"Redis killed, AOF {settings['appendfsync']}",
            fault=faults.redis_killed,
            redis=settings,
            proof=Proof(answers=QUEUED_AND_REFUSED, reason="redis_unavailable"),
            is_outcome_unknown=True,
        )
        for settings in ({"appendfsync": "always"}, EVERYSEC)
    ),
    Case(name="Redis down", fault=faults.redis_down, proof=Proof()),
    Case(
        name="Redis full",
        fault=faults.redis_full,
        proof=Proof(answers=QUEUED_AND_REFUSED, reason="oom"),
    ),
    Case(
        name="both down",
        fault=faults.both_down,
        proof=Proof(answers=("answered_503",), reason="redis_unavailable"),
        is_outcome_unknown=True,
    ),
    Case(
        name="connections cut",
        fault=faults.connections_cut,
        proof=Proof(answers=QUEUED, reason=UNREACHABLE),
    ),
    COMMIT_ANSWER_LOST,
    Case(name="black hole", fault=faults.black_hole, proof=Proof(answers=QUEUED, slowest_seconds=2)),
    Case(
        name="partition detached",
        fault=faults.partition_detached,
        mix=Mix(months=faults.MONTHS),
        proof=Proof(answers=QUEUED, reason="partition_missing"),
    ),
    Case(
        name="partition locked",
        fault=faults.partition_locked,
        mix=Mix(months=faults.MONTHS),
        proof=Proof(answers=QUEUED, reason="lock_timeout"),
    ),
    Case(
        name="partition missing",
        fault=faults.partition_missing,
        mix=Mix(months=faults.MONTHS),
        proof=Proof(answers=QUEUED, reason="partition_missing"),
    ),
    Case(
        name="pool exhausted",
        fault=faults.pool_exhausted,
        service=SMALL_POOL,
        mix=Mix(clients=12, batch_share=0.5),  # single events share a connection; batches want one each
        proof=Proof(answers=QUEUED, reason="pool_timeout"),
    ),
    Case(
        name="worker killed while replaying",
        fault=faults.worker_killed_while_replaying,
        proof=Proof(answers=("answered_202", "no_answer")),
        may_give_up=True,
    ),
    Case(
        name="two services replaying",
        fault=faults.two_services_replaying,
        proof=Proof(answers=QUEUED),
    ),
]


def run(case: Case, directory: Path, *, settle_seconds: float = SETTLE_SECONDS) -> tuple[Verdict, set[str]]:
    """Drive the load through one fault, heal it, wait for quiet; return the comparison and logged reasons."""
    ledger = Ledger(unique("lab"))
    with Stand(
        directory, postgres_settings=case.postgres, redis_settings=case.redis, **case.service
    ) as stand:
        if case.mix.months:
            faults.make_months(stand)
        with Load(stand.service.api.url, ledger, case.mix):
            time.sleep(settle_seconds)
            with case.fault(stand):
                time.sleep(settle_seconds)
        stand.wait_until_quiet()
        given_up = stand.bring_back_dead_letters()
        with stand.owner() as connection:
            return ledger.compare(connection, given_up=given_up), stand.reasons()
