"""The checks among each other: what they need, what they may take, what is left out."""

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from datastorage.validation import run as running
from datastorage.validation.run import Check, Finding, run
from datastorage.validation.servers import load_settings
from datastorage.validation.subject import Broken, Doubtful, NotApplicable, Subject

SUBJECT = Subject(None, {})


def a_check(number: int, examine: Callable[[], str], *needs: int, seconds: float = 5) -> Check:
    def measured(_subject: Subject, _seconds: float) -> str:
        return examine()

    return Check(number=number, title=f"title {number}", examine=measured, seconds=seconds, needs=needs)


def broken() -> str:
    raise Broken("it is bent", "straighten it")


def not_here() -> str:
    raise NotApplicable("there is none here")


def clumsy() -> str:
    raise ZeroDivisionError("by zero")


def findings(*checks: Check, skip: frozenset[int] = frozenset()) -> list[Finding]:
    return list(run(checks, SUBJECT, skip, lambda _check: None))


def statuses(*checks: Check, skip: frozenset[int] = frozenset()) -> str:
    return " ".join(finding.status for finding in findings(*checks, skip=skip))


def test_finding_says_what_was_measured() -> None:
    [finding] = findings(a_check(1, lambda: "it has 3 legs"))

    assert (finding.status, finding.text, finding.repair) == ("PASS", "it has 3 legs", None)


def test_failure_says_how_to_repair_it() -> None:
    [finding] = findings(a_check(1, broken))

    assert (finding.status, finding.text, finding.repair) == ("FAIL", "it is bent", "straighten it")


def test_doubt_is_a_warning_and_stops_nothing() -> None:
    def doubtful() -> str:
        raise Doubtful("it creaks", "oil it")

    finding, after = findings(a_check(1, doubtful), a_check(2, lambda: "fine"))

    assert (finding.status, finding.text, finding.repair) == ("WARN", "it creaks", "oil it")
    assert after.status == "PASS"


def test_check_that_fails_itself_has_not_passed_and_the_next_one_is_made() -> None:
    failed, after = findings(a_check(1, clumsy), a_check(2, lambda: "fine"))

    assert (failed.status, failed.text) == ("FAIL", "title 1: ZeroDivisionError: by zero")
    assert after.status == "PASS"


def test_dependants_of_a_failure_are_left_out_and_so_are_theirs() -> None:
    good: Callable[[], str] = lambda: "fine"  # noqa: E731 - used four times

    found = statuses(a_check(1, broken), a_check(2, good, 1), a_check(3, good, 2), a_check(4, good))

    assert found == "FAIL SKIP SKIP PASS"


def test_check_without_anything_to_examine_says_why_and_holds_up_nobody() -> None:
    nothing, after = findings(a_check(1, not_here), a_check(2, lambda: "fine", 1))

    assert (nothing.status, nothing.text) == ("SKIP", "title 1: there is none here")
    assert after.status == "PASS"


def test_check_that_nobody_wants_is_not_made() -> None:
    assert statuses(a_check(1, clumsy), a_check(2, lambda: "fine", 1), skip=frozenset({1})) == "SKIP PASS"


def test_check_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "GRACE_SECONDS", 0.0)
    never = Event()

    def hang() -> str:
        never.wait()
        return "at last"

    began = time.monotonic()
    hanging, after = findings(a_check(1, hang, seconds=0.1), a_check(2, lambda: "fine"))
    seconds = time.monotonic() - began

    never.set()
    assert hanging.status == "FAIL"
    assert "no result within" in hanging.text
    assert after.status == "PASS"
    assert seconds < 2


def test_nothing_is_begun_when_the_minute_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "BUDGET_SECONDS", 0.0)

    assert statuses(a_check(1, lambda: "fine")) == "FAIL"


def test_each_check_is_announced_before_it_is_made() -> None:
    heard: list[str] = []

    def make(number: int) -> Check:
        def examine() -> str:
            heard.append(f"made {number}")
            return "fine"

        return a_check(number, examine)

    list(run([make(1), make(2)], SUBJECT, frozenset(), lambda check: heard.append(f"next {check.number}")))

    assert heard == ["next 1", "made 1", "next 2", "made 2"]


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_installed_package_is_no_source_tree(folder: str) -> None:
    assert not Subject(None, {}, root=Path("/opt/lib") / folder).is_checkout
    assert Subject(None, {}).is_checkout


def test_usual_local_servers_are_looked_for_where_no_others_are_named() -> None:
    named_url = {"DATASTORAGE_DATABASE_URL": "postgresql://app@db.example:6000/other"}

    usual, named = load_settings(Subject(None, {})), load_settings(Subject(None, named_url))

    assert (usual.database.host, usual.database.port, usual.redis.addr) == (
        "localhost",
        5432,
        "localhost:6379",
    )
    assert (named.database.host, named.database.port, named.redis.addr) == (
        "db.example",
        6000,
        "localhost:6379",
    )


def test_passwords_of_every_source_are_replaced() -> None:
    subject = Subject(
        None,
        {
            "DATASTORAGE_DATABASE_URL": "postgresql://app:tulip%40noon@127.0.0.1:1/none",
            "DATASTORAGE_REDIS_URL": "redis://:crocus@127.0.0.1:1/0",
            "DATASTORAGE_TEST_DATABASE_URL": "postgresql://postgres:daisy@127.0.0.1:1/none",
            "DB_PASSWORD": "poppy",
        },
    )

    clean = subject.without_secrets("tulip@noon crocus daisy poppy rose")

    assert clean == "[REDACTED] [REDACTED] [REDACTED] [REDACTED] rose"
