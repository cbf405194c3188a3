from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from datastorage.errors import Conflict, InvalidInput
from datastorage.incidents.enumerations import EXECUTION_STATUSES
from datastorage.incidents.writing.lifecycle import TRANSITIONS, judge_change, with_duration
from datastorage.incidents.writing.model import Outcome

START = datetime(2026, 11, 20, 10, tzinfo=UTC)


def current(**columns: Any) -> dict[str, Any]:
    return {
        "execution_status": "executing",
        "execution_start_time": None,
        "execution_end_time": None,
        "execution_duration_ms": None,
    } | columns


def test_every_status_has_successors_and_may_stay() -> None:
    assert set(TRANSITIONS) == set(EXECUTION_STATUSES)
    assert all(status in successors for status, successors in TRANSITIONS.items())


def test_end_of_an_action_is_final_except_for_a_rollback() -> None:
    assert TRANSITIONS["completed"] == {"completed", "rolled-back"}
    assert TRANSITIONS["failed"] == {"failed", "rolled-back"}
    assert TRANSITIONS["cancelled"] == {"cancelled"}
    assert TRANSITIONS["rolled-back"] == {"rolled-back"}


def test_forbidden_status_is_a_conflict() -> None:
    with pytest.raises(Conflict) as caught:
        judge_change(current(execution_status="completed"), Outcome({"execution_status": "pending"}))

    assert caught.value.members["field"] == "execution_status"


def test_change_without_a_status_is_judged_against_the_stored_one() -> None:
    change = {"execution_error": "e"}

    assert judge_change(current(execution_status="cancelled"), Outcome(change)) == change


def test_duration_of_new_times_replaces_the_stored_one() -> None:
    stored = current(execution_start_time=START, execution_duration_ms=5)

    changes = judge_change(stored, Outcome({"execution_end_time": START + timedelta(seconds=2)}))

    assert changes["execution_duration_ms"] == 2000


def test_duration_that_is_sent_wins() -> None:
    change = {"execution_end_time": START + timedelta(seconds=2), "execution_duration_ms": 7}

    changes = judge_change(current(execution_start_time=START), Outcome(change))

    assert changes["execution_duration_ms"] == 7


def test_stored_duration_stays_while_a_time_is_open() -> None:
    changes = judge_change(current(execution_duration_ms=5), Outcome({"execution_start_time": START}))

    assert "execution_duration_ms" not in changes


def test_new_start_after_the_stored_end_is_refused() -> None:
    stored = current(execution_end_time=START)

    with pytest.raises(InvalidInput) as caught:
        judge_change(stored, Outcome({"execution_start_time": START + timedelta(microseconds=1)}))

    assert list(caught.value.field_errors) == ["execution_end_time"]


def test_duration_is_cut_to_milliseconds_and_fits_its_column() -> None:
    def times(length: timedelta) -> dict[str, Any]:
        return {"execution_start_time": START, "execution_end_time": START + length}

    assert with_duration(times(timedelta(microseconds=1999))).duration_ms == 1
    assert with_duration(times(timedelta(0))).duration_ms == 0
    assert with_duration(times(timedelta(days=24))).duration_ms == 24 * 86_400_000
    assert list(with_duration(times(timedelta(days=25))).faults) == ["execution_end_time"]
