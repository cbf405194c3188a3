from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Select
from sqlalchemy.dialects.postgresql.base import PGDialect

from datastorage.audit import payload_filters, queries
from datastorage.audit.model import AuditFilter, PageRequest
from datastorage.platform.db.keyset import Position
from datastorage.platform.db.rendered import DIALECT
from datastorage.platform.db.stretches import bounded
from tests.support.audit_filters import events

SINCE = datetime(2026, 1, 14, 23, 59, 59, tzinfo=UTC)
UNTIL = datetime(2026, 2, 1, 0, 0, tzinfo=UTC)
ID = UUID("0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11")


def compiled(statement: Select[Any]) -> tuple[str, dict[str, Any]]:
    """The text of a statement on one line, and its bound values."""
    result = statement.compile(dialect=PGDialect())
    return " ".join(str(result).split()), result.params


def condition_of(wanted: AuditFilter) -> tuple[str, dict[str, Any]]:
    text, params = compiled(queries.count(wanted))
    return text.partition(" WHERE ")[2], params


@pytest.mark.parametrize("build", [queries.count, lambda wanted: queries.page(wanted, limit=10)])
def test_time_bounds_also_bound_the_partition_key(build: Any) -> None:
    text, params = compiled(build(events(since=SINCE, until=UNTIL)))

    assert "audit_events.event_timestamp >= %(since)s" in text
    assert "audit_events.event_date >= %(since_date)s" in text
    assert "audit_events.event_timestamp <= %(until)s" in text
    assert "audit_events.event_date <= %(until_date)s" in text
    assert (params["since_date"], params["until_date"]) == (SINCE.date(), UNTIL.date())


def test_one_time_bound_bounds_one_side_of_the_partition_key() -> None:
    since, _ = condition_of(events(since=SINCE))
    until, _ = condition_of(events(until=UNTIL))
    neither, _ = condition_of(events())

    assert ("event_date >=" in since, "event_date <=" in since) == (True, False)
    assert ("event_date >=" in until, "event_date <=" in until) == (False, True)
    assert neither == ""


@pytest.mark.parametrize(
    ("ascending", "comparison", "bound"), [(False, "<", "event_date <="), (True, ">", "event_date >=")]
)
def test_cursor_compares_the_sort_key_and_bounds_the_partition_key(
    *, ascending: bool, comparison: str, bound: str
) -> None:
    wanted = events(ascending=ascending, after=Position(SINCE, ID))

    text, params = compiled(queries.page(wanted, limit=10))

    assert f"(audit_events.event_timestamp, audit_events.event_id) {comparison} (" in text
    assert f"audit_events.{bound}" in text
    assert {SINCE, ID, SINCE.date()} <= set(params.values())


def test_cursor_does_not_change_the_count() -> None:
    with_cursor = compiled(queries.count(events(after=Position(SINCE, ID))))

    assert with_cursor == compiled(queries.count(events()))


@pytest.mark.parametrize(("ascending", "direction"), [(False, "DESC"), (True, "ASC")])
def test_order_is_total(*, ascending: bool, direction: str) -> None:
    text, _ = compiled(queries.page(events(ascending=ascending), limit=10, offset=20))

    ordered = f"ORDER BY audit_events.event_timestamp {direction}, audit_events.event_id {direction}"
    assert f"{ordered} LIMIT" in text


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize(
    "wanted",
    [
        events(),
        events(correlation_id="a", event_type="b", ascending=True),
        events(since=SINCE, until=UNTIL, namespace="a"),
        events(after=Position(SINCE, ID)),
    ],
)
def test_kept_text_has_the_values_of_each_filter(wanted: AuditFilter, *, counted: bool) -> None:
    build = queries.first_page if counted else queries.page
    fresh = bounded(build(wanted, limit=10), 20).compile(dialect=DIALECT)

    kept, values = queries.rendered_page(PageRequest(filter=wanted, limit=10, include_total=counted), 20)

    assert kept.text == str(fresh)
    assert values | {"page_offset": 0} == fresh.params | {"page_offset": 0}


def test_filters_of_one_shape_share_their_text() -> None:
    one, other = (
        queries.rendered_page(PageRequest(filter=events(correlation_id=each), limit=3), 4)
        for each in ("a", "b")
    )

    assert one[0] is other[0]
    assert (one[1]["correlation_id"], other[1]["correlation_id"]) == ("a", "b")


def test_no_value_and_no_path_is_part_of_the_text() -> None:
    wanted = events(
        correlation_id="HOSTILE", at={"HOSTILE.x": "HOSTILE"}, event_data_contains='{"HOSTILE":1}'
    )

    text, params = compiled(queries.page(wanted, limit=10))

    assert "HOSTILE" not in text
    assert ["HOSTILE", "x"] in params.values()


def test_payload_filter_offers_candidates_to_the_index_and_decides_by_text() -> None:
    text, params = condition_of(events(at={"a.b": "3"}))

    assert text.count("audit_events.event_data @> CAST(") == 2
    assert "audit_events.event_data #>> " in text
    assert {'{"a":{"b":"3"}}', '{"a":{"b":3}}', "3"} <= {str(value) for value in params.values()}


@pytest.mark.parametrize(
    ("value", "alternatives"), [("3", 2), ("true", 2), ("null", 2), ("text", 1), ("NaN", 1)]
)
def test_only_json_scalars_have_a_second_candidate(value: str, alternatives: int) -> None:
    text, _ = condition_of(events(at={"a": value}))

    assert text.count("@>") == alternatives


def test_path_into_an_array_has_no_candidates() -> None:
    text, _ = condition_of(events(at={"pods.0": "x"}))

    assert "@>" not in text
    assert "#>>" in text


@pytest.mark.parametrize(
    "text", ["0", "-0", "3", "-2", "0.95", "1.50", "1e5", "1E+21", "1E-300", "12345678901234567890"]
)
def test_json_of_a_number_is_recognised(text: str) -> None:
    assert payload_filters.numbers_of(text) == [text]


@pytest.mark.parametrize(
    ("text", "kept"),
    [("0.1234567890123456789", "0.12345678901234568"), ("9007199254740993.0", "9007199254740992.0")],
)
def test_number_that_events_round_stands_for_both(text: str, kept: str) -> None:
    assert payload_filters.numbers_of(text) == [text, kept]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 3",
        "3 ",
        "+3",
        "03",
        ".5",
        "3.",
        "1e400",
        "-1e400",
        "1e-20000",
        "0e99999",
        "NaN",
        "Infinity",
        "true",
        "null",
        "9" * 101,
        "0x10",
        "True",
        '"text"',
        "{}",
        "[]",
        "\u0663",
        "1_000",
        "3\n",
    ],
)
def test_other_text_is_no_number(text: str) -> None:
    assert payload_filters.numbers_of(text) == []


@pytest.mark.parametrize(
    "wanted",
    [
        events(),
        events(since=SINCE, until=UNTIL, after=Position(SINCE, ID)),
        events(event_type="x", correlation_id="rr-1", since=SINCE),
    ],
)
def test_order_and_correlation_id_have_one_plan_for_all_values(wanted: AuditFilter) -> None:
    assert wanted.is_planned_alike


@pytest.mark.parametrize(
    "wanted",
    [
        events(event_type="x"),
        events(event_data_contains="{}"),
        events(correlation_id="rr-1", at={"a": "1"}),
    ],
)
def test_filters_that_match_few_or_many_are_planned_with_their_values(wanted: AuditFilter) -> None:
    assert not wanted.is_planned_alike
