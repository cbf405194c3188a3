"""What may change about a stored workflow, and what follows from a change. Pure.

``archived`` is final, ``deprecated`` leads only there; otherwise any status may follow any other.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from datastorage.errors import Fault, InvalidInput
from datastorage.workflows.errors import StatusConflict

DISABLED = "disabled"

ALLOWED: dict[str, frozenset[str]] = {
    "active": frozenset({"disabled", "deprecated", "archived"}),
    "disabled": frozenset({"active", "deprecated", "archived"}),
    "deprecated": frozenset({"archived"}),
    "archived": frozenset(),
}
"""Where each status leads; staying where one is is always allowed."""

THOUSANDTH = Decimal("0.001")
"""Rates are kept with three decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a caller wants changed; ``None`` is "leave it".

    Attributes:
        person: the person who wants it; then this name counts, whomever the change names.
    """

    status: str | None = None
    disabled_by: str | None = None
    disabled_reason: str | None = None
    updated_by: str | None = None
    reason: str | None = None
    deprecation_notice: str | None = None
    total_executions: int | None = None
    successful_executions: int | None = None
    actual_success_rate: Decimal | None = None
    person: str | None = None

    @property
    def named(self) -> tuple[str | None, str | None]:
        """Whom it names, who changes before who disables."""
        return self.updated_by, self.disabled_by


def apply(change: Change, stored: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Return the columns that get a new value, with that value; empty when nothing changes.

    Args:
        change: what is wanted.
        stored: the row as it is, by column.
        now: the time of the change.

    Raises:
        StatusConflict: the status cannot follow the stored one.
        InvalidInput: more successes than executions.
    """
    wanted = {**_status_columns(change, stored, now), **_counter_columns(change, stored)}
    if change.deprecation_notice is not None:
        wanted["deprecation_notice"] = change.deprecation_notice
    changed = {name: value for name, value in wanted.items() if value != stored[name]}
    by = change.updated_by or change.disabled_by
    if change.person is not None and (changed or by):
        by = change.person
    if by and by != stored["updated_by"]:
        changed["updated_by"] = by
    return changed


def check_transition(old: str, new: str) -> None:
    """Let ``new`` follow ``old``, or refuse.

    Raises:
        StatusConflict: it may not.
    """
    if new != old and new not in ALLOWED[old]:
        raise StatusConflict(f"invalid workflow status transition from {old} to {new}")


def _status_columns(change: Change, stored: dict[str, Any], now: datetime) -> dict[str, Any]:
    new = change.status or stored["status"]
    check_transition(stored["status"], new)
    given = _given_words(change, is_transition=new != stored["status"])
    if new == stored["status"]:
        # Told again why and by whom: the words change, the moment does not.
        return {name: value for name, value in given.items() if value is not None and new == DISABLED}
    if new != DISABLED:
        given |= {"disabled_by": None, "disabled_reason": None}
    return {"status": new, "disabled_at": now if new == DISABLED else None, **given}


def _given_words(change: Change, *, is_transition: bool) -> dict[str, str | None]:
    given = {
        # Empty text says nothing; stored it would look like an answer.
        "disabled_by": change.disabled_by or change.updated_by or None,
        "disabled_reason": change.disabled_reason or change.reason or None,
        "status_reason": change.reason or change.disabled_reason or None,
    }
    if change.person is not None and (is_transition or any(given.values())):
        given["disabled_by"] = change.person  # who gives a new reason answers for it
    return given


def _counter_columns(change: Change, stored: dict[str, Any]) -> dict[str, Any]:
    total = _given_or(change.total_executions, stored["total_executions"])
    successes = _given_or(change.successful_executions, stored["successful_executions"])
    if successes > total:
        field = "total_executions" if change.successful_executions is None else "successful_executions"
        fault = Fault("successful_executions must not exceed total_executions")
        raise InvalidInput(f"{field}: {fault}", {field: fault})
    columns = {"total_executions": total, "successful_executions": successes}
    if change.actual_success_rate is not None:
        # 0 and 1 arrive as integers.
        rate = Decimal(change.actual_success_rate).quantize(THOUSANDTH, ROUND_HALF_UP)
        return columns | {"actual_success_rate": rate}
    if columns != {name: stored[name] for name in columns}:
        return columns | {"actual_success_rate": success_rate(successes, total)}
    return columns


def _given_or(given: int | None, stored: int) -> int:
    return stored if given is None else given


def success_rate(successes: int, total: int) -> Decimal | None:
    """Return ``successes / total`` with three decimals, halves up, or ``None`` when there is no total."""
    if total == 0:
        return None
    # In whole numbers: a quotient rounded to the context first could round twice.
    return Decimal((2000 * successes + total) // (2 * total)).scaleb(-3)
