"""How an action may go on, and how long it took. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from datastorage.errors import Conflict, Fault, InvalidInput
from datastorage.incidents.enumerations import EXECUTION_STATUSES
from datastorage.incidents.trace import INT32_MAX
from datastorage.incidents.writing.model import Outcome

_ENDS = frozenset({"completed", "failed", "cancelled", "rolled-back"})
_RUNS = frozenset({"executing", "in_progress"})

TRANSITIONS: Mapping[str, frozenset[str]] = {
    "pending": frozenset(EXECUTION_STATUSES),
    "executing": _RUNS | _ENDS,
    "in_progress": _RUNS | _ENDS,
    "completed": frozenset({"completed", "rolled-back"}),
    "failed": frozenset({"failed", "rolled-back"}),
    "rolled-back": frozenset({"rolled-back"}),
    "cancelled": frozenset({"cancelled"}),
}
"""Which status may follow which; the same one again is always allowed."""

BEFORE_START = Fault("must not be before execution_start_time")
TOO_LONG = Fault(f"must be at most {INT32_MAX} ms after execution_start_time")


@dataclass(frozen=True, slots=True)
class Duration:
    """How long an action took in milliseconds, or why that cannot be."""

    duration_ms: int | None
    faults: Mapping[str, Fault] = field(default_factory=dict)


def with_duration(columns: Mapping[str, Any]) -> Duration:
    """Return the duration: the one given, else from start to end, ``None`` as long as one of them is open."""
    start: datetime | None = columns.get("execution_start_time")
    end: datetime | None = columns.get("execution_end_time")
    given: int | None = columns.get("execution_duration_ms")
    if start is None or end is None:
        return Duration(given)
    if end < start:
        return Duration(given, {"execution_end_time": BEFORE_START})
    if given is not None:
        return Duration(given)
    took_ms = (end - start) // timedelta(milliseconds=1)
    return Duration(took_ms) if took_ms <= INT32_MAX else Duration(None, {"execution_end_time": TOO_LONG})


def judge_change(current: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Return the columns to write.

    Args:
        current: status, start, end and duration as they are stored.
        outcome: what the producer reports.

    Raises:
        Conflict: the status cannot follow the stored one.
        InvalidInput: the action would end before its start.
    """
    changes = dict(outcome.columns)
    status = changes.get("execution_status", current["execution_status"])
    if status not in TRANSITIONS[current["execution_status"]]:
        raise Conflict(
            f"an action that is {current['execution_status']} cannot become {status}",
            resource="incident",
            field="execution_status",
            value=status,
        )
    if changes.keys() & {"execution_start_time", "execution_end_time"}:
        # A stored duration belongs to the stored times.
        duration = with_duration({**current, "execution_duration_ms": None, **changes})
        if duration.faults:
            raise InvalidInput.of("incident", duration.faults)
        if duration.duration_ms is not None:
            changes["execution_duration_ms"] = duration.duration_ms
    return changes
