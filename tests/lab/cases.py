"""The table of cases: which fault, on which stand, and what proves that the fault was felt."""

import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection

from tests.lab import access_faults, faults
from tests.lab.evidence import broken_ledger
from tests.lab.faults import Fault
from tests.lab.guards import MakeGuard, api_server, key_issuer
from tests.lab.ledger import ACKNOWLEDGED, NO_ANSWER, Ledger, Verdict
from tests.lab.load import Load, Mix
from tests.lab.stand import Stand, wait_until
from tests.support.builders import unique

SETTLE_SECONDS = 2.5
"""How long the load goes on before the fault and after it, at least."""

STORED_SECONDS = 60
"""How long it may take until writes are stored at once again."""

UNREACHABLE = "db_unreachable"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What must be seen, lest a fault that did nothing passes for one that was survived.

    Args:
        answers: fields of the verdict that must be above 0.
        reason: a word that the services must have logged.
        slowest_seconds: the longest wait for an answer is at least this.
        is_unnoticed: no client may see anything but 201.
    """

    answers: tuple[str, ...] = ()
    reason: str | None = None
    slowest_seconds: float = 0.0
    is_unnoticed: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """A fault, the stand it needs, and the proof that it happened.

    ``guard``: makes what knows the clients; without one everybody may do everything.
    ``is_outcome_unknown``: queueing itself is cut off, so a record that was under way in that moment may be
    there although it was refused with 503.
    """

    name: str
    fault: Fault
    proof: Proof
    mix: Mix = field(default_factory=Mix)
    postgres: dict[str, str] = field(default_factory=dict)
    redis: dict[str, str] = field(default_factory=dict)
    service: dict[str, str] = field(default_factory=dict)
    is_outcome_unknown: bool = False
    needs_slow_disk: bool = False
    is_encrypted: bool = False
    guard: MakeGuard | None = None

    def is_felt(self, ledger: Ledger, reasons: Callable[[], set[str]]) -> bool:
        """Tell whether clients and logs show the fault by now."""
        statuses = [STATUSES[name] for name in self.proof.answers]
        return (
            all(ledger.answered(status) for status in statuses)
            and ledger.slowest_seconds >= self.proof.slowest_seconds
            and (self.proof.reason is None or self.proof.reason in reasons())
        )

    def broken_promise(self, verdict: Verdict, reasons: set[str]) -> str | None:
        """Say what was not kept, or that the fault was not even felt; ``None`` when all is well."""
        unseen = [name for name in self.proof.answers if getattr(verdict, name) == 0]
        may_be_stored = verdict.unexplained if self.is_outcome_unknown else verdict.refused_but_stored
        complaints = {
            "no sign of the fault": bool(unseen) or verdict.slowest_seconds < self.proof.slowest_seconds,
            "noticed": self.proof.is_unnoticed and any(getattr(verdict, name) for name in STATUSES),
            "not its reason": self.proof.reason is not None and self.proof.reason not in reasons,
            "nothing was stored at once": verdict.answered_201 == 0,
            "lost": verdict.lost > 0,
            "duplicated": verdict.duplicated > 0,
            "other answers": verdict.other > 0,
            "stored though refused": may_be_stored > 0,
            "given up": verdict.given_up > 0,
        }
        return ", ".join(text for text, is_true in complaints.items() if is_true) or None


STATUSES = {"answered_202": 202, "answered_503": 503, "no_answer": NO_ANSWER}
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

METRICS_DISK_FULL = Case(
    name="metrics directory full",
    fault=faults.metrics_disk_full,
    proof=Proof(answers=("no_answer",)),
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
            service={"REDIS_DLQ_MAX_LEN": "100000"},
            needs_slow_disk=True,
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
    Case(
        name="connections terminated",
        fault=faults.backends_terminated,
        service={"LOGGING_LEVEL": "info"},
        proof=Proof(reason="shutdown", is_unnoticed=True),
    ),
    Case(
        name="primary demoted",
        fault=faults.primary_demoted,
        proof=Proof(answers=QUEUED, reason="read_only"),
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
        name="connections used up",
        fault=faults.connections_used_up,
        proof=Proof(answers=QUEUED, reason="db_overloaded"),
    ),
    Case(
        name="password changed",
        fault=faults.password_changed,
        proof=Proof(answers=QUEUED, reason="misconfigured"),
    ),
    Case(
        name="certificate reloaded under load",
        fault=faults.certificate_reloaded,
        service={"LOGGING_LEVEL": "info"},
        proof=Proof(is_unnoticed=True),
        is_encrypted=True,
    ),
    Case(
        name="worker killed while replaying",
        fault=faults.worker_killed_while_replaying,
        mix=Mix(batch_share=0.5),
        proof=Proof(answers=("answered_202", "no_answer")),
    ),
    Case(
        name="service restarted while replaying",
        fault=faults.service_restarted_while_replaying,
        mix=Mix(batch_share=0.5),
        proof=Proof(answers=("answered_202", "no_answer")),
    ),
    Case(
        name="two services replaying",
        fault=faults.two_services_replaying,
        mix=Mix(batch_share=0.5),
        proof=Proof(answers=QUEUED),
    ),
    Case(
        name="rival sealers killed",
        fault=faults.rival_sealers_killed,
        proof=Proof(answers=("no_answer",)),
    ),
    Case(
        name="replay times out",
        fault=faults.replay_times_out,
        mix=Mix(batch_share=0.5),
        proof=Proof(answers=QUEUED, reason=UNREACHABLE),
    ),
    Case(
        name="API server killed",
        fault=access_faults.api_server_killed,
        guard=api_server,
        proof=Proof(reason="review_unavailable", is_unnoticed=True),
    ),
    Case(
        name="API server hung",
        fault=access_faults.api_server_hung,
        guard=api_server,
        proof=Proof(reason="review_unavailable", slowest_seconds=1.5, is_unnoticed=True),
    ),
    Case(
        name="keys of the issuer rotated",
        fault=access_faults.keys_rotated,
        guard=key_issuer,
        proof=Proof(is_unnoticed=True),
    ),
]


def run(
    case: Case, directory: Path, *, settle_seconds: float = SETTLE_SECONDS
) -> tuple[Verdict, set[str], str | None]:
    """Drive the load through one fault, heal it, wait for quiet, and let clients send again what they hold.

    Returns:
        The comparison, the reasons that were logged, and which promise was broken.
    """
    with nullcontext() if case.guard is None else case.guard(directory) as guard:
        stand = Stand(
            directory,
            postgres_settings=case.postgres,
            redis_settings=case.redis,
            service_settings=case.service,
            is_encrypted=case.is_encrypted,
        )
        stand.guard = guard
        return _run_on(stand, case, settle_seconds)


def _run_on(stand: Stand, case: Case, settle_seconds: float) -> tuple[Verdict, set[str], str | None]:
    ledger = Ledger(unique("lab"))
    with stand:
        stand.is_felt = lambda: case.is_felt(ledger, stand.reasons)
        if case.mix.months:
            faults.make_months(stand)
        with Load(stand.service.api, ledger, case.mix, stand.headers):
            settle(ledger, settle_seconds)
            with case.fault(stand):
                settle(ledger, settle_seconds)
        is_quiet = stand.is_quiet_in_time()
        given_up = stand.bring_back_dead_letters()
        ledger.cuts = stand.cuts
        with stand.owner() as connection:
            verdict, reasons = ledger.compare(connection, given_up=given_up), stand.reasons()
            broken = case.broken_promise(verdict, reasons)
            if broken is None and not is_quiet:
                broken = "something is queued for ever"
            broken = broken or sent_again(stand, ledger, connection)
            return verdict, reasons, broken or broken_ledger(connection, stand.key_file)


def settle(ledger: Ledger, seconds: float) -> None:
    """Let the load go on undisturbed: for a while, and until something was stored at once."""
    before = ledger.answered(201)
    time.sleep(seconds)
    wait_until(lambda: ledger.answered(201) > before, STORED_SECONDS, lambda: "nothing is stored any more")


def sent_again(stand: Stand, ledger: Ledger, connection: Connection) -> str | None:
    """Let clients send what nobody acknowledged, and say what is wrong then."""
    statuses = Load.send_again(stand.service.api, ledger, stand.headers)
    if set(statuses) - ACKNOWLEDGED:
        return f"sent again and answered {dict(statuses)}"
    stand.is_quiet_in_time()
    unsettled = ledger.count_unsettled(connection)
    return f"{unsettled} not stored once after being sent again" if unsettled else None
