"""Which status may follow which, and what a change writes."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastorage.errors import InvalidInput
from datastorage.workflows.errors import StatusConflict
from datastorage.workflows.labels import STATUSES
from datastorage.workflows.lifecycle import Change, apply, success_rate

NOW = datetime(2026, 1, 14, 12, tzinfo=UTC)
BEFORE = datetime(2026, 1, 14, 9, tzinfo=UTC)
FORBIDDEN = {
    ("deprecated", "active"),
    ("deprecated", "disabled"),
    ("archived", "active"),
    ("archived", "disabled"),
    ("archived", "deprecated"),
}


def stored(**columns: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "status": "active",
        "status_reason": None,
        "disabled_at": None,
        "disabled_by": None,
        "disabled_reason": None,
        "updated_by": None,
        "deprecation_notice": None,
        "total_executions": 0,
        "successful_executions": 0,
        "actual_success_rate": None,
    }
    return row | columns


A_DISABLED_ROW = stored(
    status="disabled",
    status_reason="flaky",
    disabled_at=BEFORE,
    disabled_by="ops",
    disabled_reason="flaky",
    updated_by="ops",
)


@pytest.mark.parametrize("new", STATUSES)
@pytest.mark.parametrize("old", STATUSES)
def test_every_transition_is_allowed_or_refused(old: str, new: str) -> None:
    change = Change(status=new)

    if (old, new) in FORBIDDEN:
        with pytest.raises(StatusConflict, match=f"^invalid workflow status transition from {old} to {new}$"):
            apply(change, stored(status=old), NOW)
    else:
        assert ("status" in apply(change, stored(status=old), NOW)) is (old != new)


def test_disabling_writes_when_by_whom_and_why() -> None:
    assert apply(Change(status="disabled", updated_by="ops", reason="flaky"), stored(), NOW) == {
        "status": "disabled",
        "status_reason": "flaky",
        "disabled_at": NOW,
        "disabled_by": "ops",
        "disabled_reason": "flaky",
        "updated_by": "ops",
    }


@pytest.mark.parametrize("status", ["active", "deprecated", "archived"])
def test_leaving_disabled_clears_what_it_wrote(status: str) -> None:
    assert apply(Change(status=status, reason="done", updated_by="qa"), A_DISABLED_ROW, NOW) == {
        "status": status,
        "status_reason": "done",
        "disabled_at": None,
        "disabled_by": None,
        "disabled_reason": None,
        "updated_by": "qa",
    }


def test_transition_without_a_reason_forgets_the_last_one() -> None:
    assert apply(Change(status="active"), A_DISABLED_ROW, NOW)["status_reason"] is None


def test_transition_without_an_actor_keeps_the_last_one() -> None:
    assert "updated_by" not in apply(Change(status="active"), A_DISABLED_ROW, NOW)


def test_disabling_again_writes_only_the_new_words() -> None:
    assert apply(Change(status="disabled", reason="broken", updated_by="qa"), A_DISABLED_ROW, NOW) == {
        "status_reason": "broken",
        "disabled_reason": "broken",
        "disabled_by": "qa",
        "updated_by": "qa",
    }


def test_disabling_again_without_words_writes_nothing() -> None:
    assert apply(Change(status="disabled"), A_DISABLED_ROW, NOW) == {}


def test_reason_without_a_change_of_status_is_dropped() -> None:
    assert apply(Change(reason="because", disabled_reason="because"), stored(), NOW) == {}


@pytest.mark.parametrize(
    "change",
    [Change(), Change(total_executions=0), Change(updated_by=""), Change(status="active", disabled_by="")],
)
def test_nothing_new_writes_nothing(change: Change) -> None:
    assert apply(change, stored(), NOW) == {}


def test_empty_words_are_no_words() -> None:
    change = Change(status="disabled", reason="", disabled_reason="", updated_by="", disabled_by="")

    assert apply(change, stored(), NOW) == {"status": "disabled", "disabled_at": NOW}


# What a person changes


def ana(**wanted: Any) -> Change:
    return Change(person="ana", **wanted)


@pytest.mark.parametrize(
    "words", [{}, {"updated_by": "bob"}, {"disabled_by": "bob"}, {"updated_by": "ana"}], ids=str
)
def test_person_disables_under_its_name_whomever_it_names(words: dict[str, str]) -> None:
    changed = apply(ana(status="disabled", **words), stored(), NOW)

    assert (changed["disabled_by"], changed["updated_by"]) == ("ana", "ana")


@pytest.mark.parametrize("change", [ana(), ana(status="disabled"), ana(total_executions=0)])
def test_person_who_changes_nothing_is_not_written_down(change: Change) -> None:
    assert apply(change, A_DISABLED_ROW, NOW) == {}


def test_person_who_counts_has_not_disabled() -> None:
    changed = apply(ana(total_executions=2), A_DISABLED_ROW, NOW)

    assert changed["updated_by"] == "ana"
    assert "disabled_by" not in changed


def test_person_answers_for_the_reason_it_gives() -> None:
    changed = apply(ana(reason="broken"), A_DISABLED_ROW, NOW)

    assert (changed["disabled_by"], changed["disabled_reason"]) == ("ana", "broken")


def test_person_who_enables_leaves_nobody_who_disabled() -> None:
    changed = apply(ana(status="active", disabled_by="bob"), A_DISABLED_ROW, NOW)

    assert (changed["disabled_by"], changed["updated_by"]) == (None, "ana")


# Counters


@pytest.mark.parametrize(
    ("change", "rate"),
    [
        (Change(total_executions=8, successful_executions=6), Decimal("0.750")),
        (Change(total_executions=3, successful_executions=2), Decimal("0.667")),
        (Change(total_executions=2000, successful_executions=1), Decimal("0.001")),
        (Change(total_executions=2001, successful_executions=1), Decimal("0.000")),
        (Change(total_executions=5), Decimal("0.000")),
        (Change(total_executions=5, actual_success_rate=Decimal("0.9995")), Decimal("1.000")),
        (Change(actual_success_rate=Decimal("0.0004")), Decimal("0.000")),
    ],
)
def test_rate_has_three_decimals_halves_up(change: Change, rate: Decimal) -> None:
    assert apply(change, stored(), NOW)["actual_success_rate"] == rate


def test_rate_goes_with_the_last_execution() -> None:
    row = stored(total_executions=1, successful_executions=1, actual_success_rate=Decimal("1.000"))

    written = apply(Change(total_executions=0, successful_executions=0), row, NOW)

    assert written["actual_success_rate"] is None


def test_rate_that_rounds_to_the_stored_one_writes_nothing() -> None:
    row = stored(actual_success_rate=Decimal("0.750"))

    assert apply(Change(actual_success_rate=Decimal("0.7504")), row, NOW) == {}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (Change(successful_executions=9), "successful_executions"),
        (Change(total_executions=5), "total_executions"),
        (Change(total_executions=5, successful_executions=6), "successful_executions"),
    ],
)
def test_more_successes_than_executions_are_refused(change: Change, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        apply(change, stored(total_executions=8, successful_executions=6), NOW)

    assert refused.value.field_errors.keys() == {field}


def test_transition_is_judged_before_the_counters() -> None:
    with pytest.raises(StatusConflict):
        apply(Change(status="active", successful_executions=9), stored(status="archived"), NOW)


@given(total=st.integers(1, 2**31 - 1), data=st.data())
def test_rate_is_the_nearest_of_the_thousandths(total: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, total))

    rate = success_rate(successes, total)

    assert rate is not None
    # |rate - s/t| <= 1/2000, in whole numbers.
    assert abs(int(rate * 1000) * total - 1000 * successes) * 2 <= total
