"""The eleven checks, made one after the other, none longer than its time, all within a minute."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from threading import Thread
from typing import Literal

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.failures import failure_of
from datastorage.validation.subject import Broken, Doubtful, NotApplicable, Subject

BUDGET_SECONDS = 55.0
"""The rest of the minute is for starting Python, and for checks that stop after their time."""

GRACE_SECONDS = 1.0
"""Time for a check that is over to stop what it started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One of the eleven.

    Attributes:
        number: what ``--skip`` takes.
        title: what is examined.
        examine: returns what was measured, given the seconds it may take. Raises ``Broken``,
            ``NotApplicable``, or anything else when it failed itself.
        seconds: the most it may take.
        needs: checks that must not have failed before this one makes sense.
    """

    number: int
    title: str
    examine: Callable[[Subject, float], str]
    seconds: float
    needs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; ``repair`` is there when it failed or warns."""

    check: Check
    status: Literal["PASS", "FAIL", "SKIP", "WARN"]
    text: str
    repair: str | None = None


def _in(place: str) -> Callable[[Subject, float], str]:
    """Return a check that is imported when it is made: a package that is missing is a finding."""

    def examine(subject: Subject, seconds: float) -> str:
        found: Callable[[Subject, float], str] = resolve_name(f"{__package__}.{place}")
        return found(subject, seconds)

    return examine


CHECKS = (
    Check(number=1, title="PostgreSQL", examine=_in("servers:postgresql"), seconds=10),
    Check(number=2, title="schema", examine=_in("servers:schema"), seconds=10, needs=(1,)),
    Check(number=3, title="tables and partitions", examine=_in("servers:tables"), seconds=10, needs=(1, 2)),
    Check(number=4, title="dependencies", examine=_in("packages:dependencies"), seconds=15),
    Check(number=5, title="imports", examine=_in("packages:imports"), seconds=15),
    Check(number=6, title="servers for tests and queue", examine=_in("queue:servers_for_tests"), seconds=20),
    Check(number=7, title="container tool", examine=_in("tools:container_tool"), seconds=10),
    Check(number=8, title="service", examine=_in("service:start"), seconds=25),
    Check(number=9, title="linter and type checker", examine=_in("tools:linters"), seconds=50),
    Check(number=10, title="project layout", examine=_in("tools:layout"), seconds=5),
    Check(number=11, title="access", examine=_in("access:access"), seconds=10),
)


def run(
    checks: Sequence[Check], subject: Subject, skipped: frozenset[int], announce: Callable[[Check], None]
) -> Iterator[Finding]:
    """Yield the finding of each check as soon as it is known; ``announce`` hears which one is next."""
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
    """Leave a check behind when its time is over: a frozen server never answers."""
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
    facts: list[str] = []
    failure = failure_of(lambda: facts.append(check.examine(subject, seconds)))
    match failure:
        case None:
            return Finding(check, "PASS", facts[0])
        case NotApplicable():
            return Finding(check, "SKIP", f"{check.title}: {failure}")
        case Broken():
            return Finding(
                check, "WARN" if isinstance(failure, Doubtful) else "FAIL", str(failure), failure.repair
            )
    text = f"{check.title}: {type(failure).__name__}: {failure}"
    return Finding(check, "FAIL", text, "the text above is all that is known")
