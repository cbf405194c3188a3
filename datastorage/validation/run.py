"""Running the checks: one after the other, none longer than its time, all within a minute."""

from collections.abc import Callable, Iterator, Sequence
from threading import Thread

from datastorage.platform.clock import monotonic_seconds
from datastorage.validation.check import Broken, Check, Doubtful, Finding, NotApplicable, Status
from datastorage.validation.subject import Subject

BUDGET_SECONDS = 55.0
"""What is left of the minute is for starting Python, and for what is stopped after its time."""

GRACE_SECONDS = 1.0
"""For a check to stop what it started, when its time is over."""


def run(
    checks: Sequence[Check], subject: Subject, skipped: frozenset[int], announce: Callable[[Check], None]
) -> Iterator[Finding]:
    """Yield what comes of each check as soon as it is known; ``announce`` hears which one is next."""
    deadline = monotonic_seconds() + BUDGET_SECONDS
    unusable: set[int] = set()
    for check in checks:
        announce(check)
        finding = _finding(check, subject, skipped, unusable, deadline)
        is_stuck = finding.status is Status.SKIP and not unusable.isdisjoint(check.needs)
        if finding.status is Status.FAIL or is_stuck:
            unusable.add(check.number)
        yield finding


def _finding(
    check: Check, subject: Subject, skipped: frozenset[int], unusable: set[int], deadline: float
) -> Finding:
    if check.number in skipped:
        return Finding(check, Status.SKIP, f"{check.title}: not asked for (--skip {check.number})")
    missing = sorted(unusable.intersection(check.needs))
    if missing:
        return Finding(check, Status.SKIP, f"{check.title}: needs check {missing[0]}")
    seconds = min(check.seconds, deadline - monotonic_seconds())
    return _examine_in_time(check, subject, seconds)


def _examine_in_time(check: Check, subject: Subject, seconds: float) -> Finding:
    """A frozen server answers nobody: the check is left behind when its time is over."""
    repair = "find out what it waits for, or leave it out with --skip"
    found = Finding(check, Status.FAIL, f"{check.title}: no result within {max(seconds, 0):.0f} s", repair)
    results: list[Finding] = []
    if seconds > 0:
        thread = Thread(target=lambda: results.append(_examine(check, subject, seconds)), daemon=True)
        thread.start()
        thread.join(seconds + GRACE_SECONDS)
    return results[0] if results else found


def _examine(check: Check, subject: Subject, seconds: float) -> Finding:
    try:
        return Finding(check, Status.PASS, check.examine(subject, seconds))
    except NotApplicable as reason:
        return Finding(check, Status.SKIP, f"{check.title}: {reason}")
    except Doubtful as doubtful:
        return Finding(check, Status.WARN, doubtful.fact, doubtful.repair)
    except Broken as broken:
        return Finding(check, Status.FAIL, broken.fact, broken.repair)
    except Exception as error:  # noqa: BLE001 - a check that cannot be made has not passed
        text = f"{check.title}: {type(error).__name__}: {error}"
        return Finding(check, Status.FAIL, text, "the text above is all that is known")
