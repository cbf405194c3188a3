"""Running the checks: one after the other, none longer than its time, all within a minute."""

from collections.abc import Callable, Iterator, Sequence
from threading import Thread

from datastorage.platform.clock import monotonic_seconds
from datastorage.validation.check import Broken, Check, Finding, NotApplicable
from datastorage.validation.subject import Subject

BUDGET_SECONDS = 55.0
"""The rest of the minute is for starting Python, and for checks that stop after their time."""

GRACE_SECONDS = 1.0
"""Time for a check that is over to stop what it started."""


def run(
    checks: Sequence[Check], subject: Subject, skipped: frozenset[int], announce: Callable[[Check], None]
) -> Iterator[Finding]:
    """Yield what comes of each check as soon as it is known; ``announce`` hears which one is next."""
    deadline = monotonic_seconds() + BUDGET_SECONDS
    unusable: set[int] = set()
    for check in checks:
        announce(check)
        missing = sorted(unusable.intersection(check.needs))
        if check.number in skipped:
            finding = Finding(check, "SKIP", f"{check.title}: not asked for (--skip {check.number})")
        elif missing:
            finding = Finding(check, "SKIP", f"{check.title}: needs check {missing[0]}")
        else:
            finding = _examine_in_time(check, subject, min(check.seconds, deadline - monotonic_seconds()))
        if finding.status == "FAIL" or missing:
            unusable.add(check.number)
        yield finding


def _examine_in_time(check: Check, subject: Subject, seconds: float) -> Finding:
    """A frozen server never answers: the check is left behind when its time is over."""
    results: list[Finding] = []
    if seconds > 0:
        thread = Thread(target=lambda: results.append(_examine(check, subject, seconds)), daemon=True)
        thread.start()
        thread.join(seconds + GRACE_SECONDS)
    if results:
        return results[0]
    text = f"{check.title}: no result within {max(seconds, 0):.0f} s"
    return Finding(check, "FAIL", text, "find out what it waits for, or leave it out with --skip")


def _examine(check: Check, subject: Subject, seconds: float) -> Finding:
    try:
        return Finding(check, "PASS", check.examine(subject, seconds))
    except NotApplicable as reason:
        return Finding(check, "SKIP", f"{check.title}: {reason}")
    except Broken as broken:
        return Finding(check, "FAIL", str(broken), broken.repair)
    except Exception as error:  # noqa: BLE001 - a check that cannot be made has not passed
        text = f"{check.title}: {type(error).__name__}: {error}"
        return Finding(check, "FAIL", text, "the text above is all that is known")
