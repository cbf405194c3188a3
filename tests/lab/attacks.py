"""What hostile clients do to a service, and the run of one: innocent clients go on beside them.

What prepares an attack returns a context manager: inside it the attackers are at work.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from sqlalchemy import insert

from datastorage.tables import resource_action_traces
from tests.lab.cases import SETTLE_SECONDS, sent_again, settle
from tests.lab.ledger import ACKNOWLEDGED, Ledger, Verdict
from tests.lab.load import Load, Mix
from tests.lab.stand import Stand
from tests.lab.watch import PROBE_SECONDS, Watch
from tests.support.builders import BATCH, EVENTS, an_event, now, rfc3339, unique
from tests.support.hostile import Crowd, Manners
from tests.support.http import JSON, Api
from tests.support.incident_builders import EXPORT, a_trace_row, insert_history
from tests.support.service import ServiceProcess
from tests.support.unread_log import Unread
from tests.support.writes import batch_created

ATTACK_SECONDS = 8.0
HEAD = b"POST /api/v1/audit/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
IDLE = Manners(opening=b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
SILENT = Manners()
DRIPPING = Manners(opening=HEAD + b"Content-Length: 10000\r\n\r\n", drip=b" ")
HALF_HEAD = Manners(opening=HEAD + b"Content-Le")
MEBIBYTE = 1 << 20
HUGE_NUMBERS = 174_000
OVERLOADED = 503

UNKNOWN_MEMBERS = 700_000

Attackers = AbstractContextManager[Any]
Prepare = Callable[[Stand, Ledger], Attackers]


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One kind of hostile clients.

    ``most_pss_mib`` bounds the memory of all processes of the service, and ``process`` runs it.
    """

    name: str
    prepare: Prepare
    seconds: float = ATTACK_SECONDS
    mix: Mix = field(default_factory=Mix)
    service: dict[str, str] = field(default_factory=dict)
    process: type[ServiceProcess] = ServiceProcess
    most_pss_mib: float = 512.0


@dataclass(frozen=True, slots=True)
class Beside:
    """What innocent clients and probes saw, and what it took."""

    p99_before_ms: float
    p99_during_ms: float
    slowest_probe_seconds: float
    highest_pss_mib: float


def crowd(stand: Stand, _ledger: Ledger) -> Attackers:
    """2,000 connections that are kept for nothing, 400 that say nothing, 200 that drip a body."""
    port = stand.service.port
    return _together(Crowd(port, 2000, IDLE), Crowd(port, 400, SILENT), Crowd(port, 200, DRIPPING))


@contextmanager
def _together(*attackers: Attackers) -> Iterator[None]:
    with ExitStack() as stack:
        for each in attackers:
            stack.enter_context(each)
        yield


def half_heads(stand: Stand, _ledger: Ledger) -> Attackers:
    """64 requests whose head does not end."""
    return Crowd(stand.service.port, 64, HALF_HEAD)


def slow_readers(stand: Stand, _ledger: Ledger) -> Attackers:
    """64 pages of a thousand rows and 64 exports, read at a few kilobytes per second."""
    correlation_id = unique("read-slowly")
    _make_large_answers(stand, correlation_id)
    page = _get(f"{EVENTS}?correlation_id={correlation_id}&limit=1000")
    return _together(
        Crowd(stand.service.port, 64, page), _allowed(Crowd(stand.service.port, 64, _get(EXPORT)))
    )


@contextmanager
def _allowed(exports: Crowd) -> Iterator[None]:
    with exports:
        yield
    assert set(exports.answers) <= {200, 429, OVERLOADED}, exports.answers


def _get(target: str) -> Manners:
    return Manners(opening=f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), reads_bytes=4096)


def _make_large_answers(stand: Stand, correlation_id: str) -> None:
    for _ in range(10):
        batch_created(
            stand.service.api,
            [an_event(correlation_id=correlation_id, event_data={"text": "x" * 4000}) for _ in range(100)],
        )
    with stand.owner() as connection:
        history = insert_history(connection)
        rows = [a_trace_row(history, model_reasoning="y" * 500) for _ in range(20_000)]
        connection.execute(insert(resource_action_traces), rows)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was written before the attack: that takes time which innocent clients would miss."""

    path: str
    body: bytes
    ids: tuple[str, ...]

    @classmethod
    def of(cls, events: list[dict[str, Any]]) -> "Sent":
        """Write one event, or several as a batch."""
        is_batch = len(events) > 1
        body = json.dumps(events if is_batch else events[0], separators=(",", ":")).encode()
        return cls(BATCH if is_batch else EVENTS, body, tuple(event["event_id"] for event in events))


def large_bodies(stand: Stand, ledger: Ledger) -> Attackers:
    """24 batches of 10 MB, and bodies with 700,000 members that nobody knows, all at once."""
    unknown = {f"k{number}": 0 for number in range(UNKNOWN_MEMBERS)}
    batches = [[_large_event(ledger, MEBIBYTE // 2) for _ in range(18)] for _ in range(24)]
    strange = [[_event(ledger) | unknown] for _ in range(4)]
    return _sending(stand, ledger, [Sent.of(each) for each in [*batches, *strange]])


@contextmanager
def _sending(stand: Stand, ledger: Ledger, requests: list[Sent]) -> Iterator[None]:
    with ThreadPoolExecutor(len(requests)) as clients, closing(Api(stand.service.api.url)) as api:
        sending = [clients.submit(_send_until_acknowledged, api, ledger, each) for each in requests]
        yield
        for each in sending:
            each.result()


def _event(ledger: Ledger, **fields: Any) -> dict[str, Any]:
    return an_event(
        event_id=str(uuid.uuid4()),
        event_timestamp=rfc3339(now()),
        correlation_id=ledger.correlation_id,
        **fields,
    )


def _large_event(ledger: Ledger, size: int) -> dict[str, Any]:
    return _event(ledger, event_data={"text": "x" * size})


def _send_until_acknowledged(api: Api, ledger: Ledger, sent: Sent) -> None:
    while True:
        started = time.monotonic()
        answer = api.request("POST", sent.path, body=sent.body, headers=JSON)
        if answer.status != OVERLOADED:
            assert answer.status in ACKNOWLEDGED, answer.body[:500]
            ledger.note([{"event_id": each} for each in sent.ids], answer.status, started)
            return
        time.sleep(float(answer.headers["Retry-After"]))


@contextmanager
def large_events(stand: Stand, ledger: Ledger) -> Iterator[None]:
    """Two clients that send one event of a megabyte after the other."""
    stopping = Event()

    def send() -> None:
        with closing(Api(stand.service.api.url)) as api:
            while not stopping.is_set():
                _send_until_acknowledged(api, ledger, Sent.of([_large_event(ledger, MEBIBYTE - 4096)]))

    with ThreadPoolExecutor(2) as clients:
        sending = [clients.submit(send) for _ in range(2)]
        yield
        stopping.set()
        for each in sending:
            each.result()


@contextmanager
def huge_numbers(stand: Stand, _ledger: Ledger) -> Iterator[None]:
    """Events with 174,000 numbers that PostgreSQL would write with 309 digits each."""
    correlation_id = unique("huge-numbers")
    event = an_event(correlation_id=correlation_id, event_data={"n": "@"})
    numbers = ",".join(["1e308"] * HUGE_NUMBERS)
    body = json.dumps(event).replace('"@"', f"[{numbers}]").encode()
    with closing(Api(stand.service.api.url)) as api:
        statuses = {api.request("POST", EVENTS, body=body, headers=JSON).status for _ in range(8)}
        yield
        listed = api.get(f"{EVENTS}?correlation_id={correlation_id}").status
    assert (statuses, listed) == ({400}, 200), (statuses, listed)


@contextmanager
def unread_log(stand: Stand, _ledger: Ledger) -> Iterator[None]:
    """Nobody reads standard output, and access lines have no room any more."""
    service = stand.service
    assert isinstance(service, Unread)
    service.fill()
    yield
    assert service.says_blocked
    service.read()


HALF_HEADS = Attack(name="64 half heads", prepare=half_heads)

ATTACKS = [
    Attack(name="2,600 idle, silent and dripping connections", prepare=crowd),
    HALF_HEADS,
    Attack(name="128 slow readers", prepare=slow_readers),
    Attack(name="24 batches of 10 MB", prepare=large_bodies),
    Attack(name="numbers of 309 digits", prepare=huge_numbers),
    Attack(name="events of 1 MB", prepare=large_events),
    # The lab logs warnings only: those would fill nothing.
    Attack(name="log not read", prepare=unread_log, process=Unread, service={"LOGGING_LEVEL": "info"}),
]


def run(
    attack: Attack, directory: Path, *, settle_seconds: float = SETTLE_SECONDS
) -> tuple[Verdict, Beside, str | None]:
    """Drive the load beside one attack, wait for quiet, and let clients send again what they hold.

    Returns:
        The comparison, what was seen beside the attack, and which promise was broken.
    """
    ledger = Ledger(unique("lab"))
    stand = Stand(directory, service_settings=attack.service)
    stand.process = attack.process
    with stand, ExitStack() as stack:
        attackers = attack.prepare(stand, ledger)
        with Load(stand.service.api, ledger, attack.mix), Watch(stand.service) as watch:
            begun = time.monotonic()
            settle(ledger, 2 * settle_seconds)
            attacked = time.monotonic()
            with attackers:
                time.sleep(attack.seconds)
            ended = time.monotonic()
            settle(ledger, settle_seconds)
        is_quiet = stand.is_quiet_in_time()
        connection = stack.enter_context(stand.owner())
        verdict = ledger.compare(connection)
        beside = Beside(
            p99_before_ms=ledger.p99_ms(begun + 1, attacked),
            p99_during_ms=ledger.p99_ms(attacked, ended),
            slowest_probe_seconds=round(watch.slowest_probe_seconds, 2),
            highest_pss_mib=round(watch.highest_pss_mib, 1),
        )
        broken = watch.complaint or _broken_promise(attack, verdict, beside)
        if broken is None and not is_quiet:
            broken = "something is queued for ever"
        return verdict, beside, broken or sent_again(stand, ledger, connection)


def _broken_promise(attack: Attack, verdict: Verdict, beside: Beside) -> str | None:
    complaints = {
        "nothing was stored at once": verdict.answered_201 == 0,
        "lost": verdict.lost > 0,
        "duplicated": verdict.duplicated > 0,
        "other answers": verdict.other > 0,
        "no answer": verdict.no_answer > 0,
        "a probe was late": beside.slowest_probe_seconds > PROBE_SECONDS,
        "too much memory": beside.highest_pss_mib > attack.most_pss_mib,
    }
    return ", ".join(text for text, is_true in complaints.items() if is_true) or None
