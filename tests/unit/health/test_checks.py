import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from threading import current_thread
from time import monotonic

import pytest

from datastorage.health import checks
from datastorage.health.checks import Check, Finding, findings
from tests.support.waiting import eventually

LONG_SECONDS = 20


class Server:
    """A probe that answers when the test lets it, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.aborted = 0
        self.answers: Queue[object] = Queue()
        self.threads: set[str] = set()

    def __call__(self) -> object:
        self.asked += 1
        self.threads.add(current_thread().name)
        answer = self.answers.get(timeout=LONG_SECONDS)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def abort(self) -> None:
        self.aborted += 1
        self.answers.put(ConnectionError("cut"))

    def answers_with(self, *answers: object) -> None:
        for answer in answers:
            self.answers.put(answer)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.answers_with(*[None] * 5)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands; tests move its only element."""
    now = [1000.0]
    monkeypatch.setattr(checks, "monotonic_seconds", lambda: now[0])
    return now


def test_answer_of_the_probe_is_the_fact_that_was_found(server: Server) -> None:
    server.answers_with("0007")

    assert findings(Check("database", server)) == [Finding(is_up=True, fact="0007")]


def test_any_exception_means_down(server: Server) -> None:
    server.answers_with(ConnectionError("refused"))

    assert findings(Check("database", server)) == [Finding(is_up=False)]


def test_finding_is_reused_for_a_second_and_no_longer(server: Server, clock: list[float]) -> None:
    check = Check("database", server)
    server.answers_with("first", "second")

    at_first = findings(check)
    clock[0] += 1.0
    a_second_later = findings(check)
    clock[0] += 0.001
    then = findings(check)

    assert [found.fact for found in (*at_first, *a_second_later, *then)] == ["first", "first", "second"]
    assert server.asked == 2


def test_callers_at_the_same_time_share_one_probe(server: Server) -> None:
    check = Check("database", server)

    with ThreadPoolExecutor(10) as threads:
        asking = [threads.submit(findings, check) for _ in range(10)]
        eventually(lambda: server.asked == 1)
        server.answers_with("shared")
        found = [each.result() for each in asking]

    assert found == [[Finding(is_up=True, fact="shared")]] * 10
    assert server.asked == 1


def test_callers_of_a_frozen_server_are_told_within_the_budget_after_one_probe(server: Server) -> None:
    check = Check("database", server, abort=server.abort)

    started = monotonic()
    with ThreadPoolExecutor(10) as threads:
        found = [each.result() for each in [threads.submit(findings, check) for _ in range(10)]]
    seconds = monotonic() - started

    assert found == [[Finding(is_up=False)]] * 10
    assert server.asked == 1
    assert server.aborted >= 1
    assert checks.BUDGET_SECONDS <= seconds < checks.BUDGET_SECONDS + 0.5


def test_checks_run_side_by_side_within_one_budget(server: Server) -> None:
    other = Server()

    started = monotonic()
    found = findings(Check("database", server), Check("redis", other))
    seconds = monotonic() - started

    other.answers_with(None)
    assert found == [Finding(is_up=False)] * 2
    assert seconds < checks.BUDGET_SECONDS + 0.5


def test_probe_that_hangs_is_not_started_again(server: Server) -> None:
    check = Check("database", server)
    findings(check)

    findings(check)

    assert server.asked == 1


def test_check_recovers_when_the_hanging_probe_ends(server: Server) -> None:
    check = Check("database", server)
    findings(check)

    server.answers_with("late")
    eventually(lambda: findings(check)[0].is_up)

    assert server.asked == 1


def test_everyone_who_wants_to_know_is_told(server: Server) -> None:
    told: list[bool] = []
    check = Check("database", server, on_finding=told.append)
    server.answers_with(ConnectionError("refused"))

    findings(check)

    eventually(lambda: told == [False])


def test_cause_is_logged_once_in_ten_seconds(
    server: Server, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    check = Check("database", server)
    server.answers_with(*[ConnectionError("refused")] * 3)

    with caplog.at_level(logging.WARNING):
        for pause in (0, 5, 5.1):
            clock[0] += pause
            findings(check)
            eventually(lambda: not check._running)

    assert [record.message for record in caplog.records] == ["Health check failed"] * 2
    assert caplog.records[0].__dict__["probe"] == "database"


def test_check_tries_again_when_no_thread_could_be_started(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Check("database", server)
    with monkeypatch.context() as broken:
        broken.setattr(checks, "Thread", refuse_to_start)
        with pytest.raises(RuntimeError):
            findings(check)
    server.answers_with("at last")

    assert findings(check) == [Finding(is_up=True, fact="at last")]


def refuse_to_start(**_: object) -> None:
    raise RuntimeError("can't start new thread")
