"""Rows sent as one text come back from PostgreSQL as they were."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Boolean, Column, Connection, Date, Double, Integer, Numeric, String, Uuid, select
from sqlalchemy.dialects.postgresql import INET, JSONB, TEXT
from sqlalchemy.exc import DataError
from sqlalchemy.types import TypeEngine

from datastorage.platform.db.columns import TIMESTAMPTZ
from datastorage.platform.db.sent_rows import as_parameters, as_stored, sent_rows


def returned(connection: Connection, values: list[Any], kind: TypeEngine[Any]) -> list[Any]:
    value: Column[Any] = Column("value", kind)
    sent = sent_rows([value])
    rows = as_parameters([{"value": each} for each in values])
    return list(connection.execute(select(as_stored(sent, value)), rows).scalars())


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(
        st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
    )
)
def test_any_text_survives(owner: Connection, values: list[str | None]) -> None:
    assert returned(owner, values, TEXT()) == values


@pytest.mark.parametrize(
    "values",
    [
        ["NULL", "null", "", " ", "{}", '{"a": "b\\"c"}', "a,b", "\\", '"', "\n\t\r\v", "\x01", "\\u0000"],
        ["one", None, "NULL"],
        [None, None],
        [],
    ],
)
def test_text_that_means_something_in_json_survives(owner: Connection, values: list[str | None]) -> None:
    assert returned(owner, values, TEXT()) == values


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([UUID("0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11"), None], Uuid()),
        ([date(1, 1, 1), date(2026, 2, 28), date(9999, 12, 31)], Date()),
        ([0, -(2**31), 2**31 - 1, None], Integer()),
        ([0.1, 5e-324, 1.7976931348623157e308, -0.0, None], Double()),
        ([True, False, None], Boolean()),
    ],
)
def test_values_of_other_types_survive(owner: Connection, values: list[Any], kind: TypeEngine[Any]) -> None:
    assert returned(owner, values, kind) == values


def test_documents_and_addresses_arrive_as_such(owner: Connection) -> None:
    assert returned(owner, ['{"b": 1.50, "a": [null]}', None], JSONB()) == [{"a": [None], "b": 1.5}, None]
    assert [str(each) for each in returned(owner, ["10.0.0.7", "2001:db8::1"], INET())] == [
        "10.0.0.7",
        "2001:db8::1",
    ]


def test_instants_survive_to_the_microsecond_in_any_zone(owner: Connection) -> None:
    instants = [
        datetime(1, 1, 2, tzinfo=UTC),
        datetime(2026, 1, 14, 8, 12, 45, 120934, tzinfo=UTC),
        datetime(2026, 1, 14, 8, 12, 45, 1, tzinfo=timezone(timedelta(hours=-9, minutes=-30))),
    ]

    assert returned(owner, instants, TIMESTAMPTZ) == instants


def test_member_that_a_row_does_not_have_is_null(owner: Connection) -> None:
    columns = [Column("here", TEXT()), Column("there", TEXT())]

    rows = owner.execute(
        select(sent_rows(columns)), as_parameters([{"here": "a"}, {"there": "b", "elsewhere": "c"}])
    )

    assert [tuple(row) for row in rows] == [("a", None), (None, "b")]


def test_text_is_not_cut_to_the_length_of_its_column(owner: Connection) -> None:
    assert returned(owner, ["abc"], String(2)) == ["abc"]


def test_decimals_keep_their_digits(owner: Connection) -> None:
    assert [str(each) for each in returned(owner, ["1.10", "0.3"], Numeric())] == ["1.10", "0.3"]


def test_nul_is_refused_by_postgresql(owner: Connection) -> None:
    with pytest.raises(DataError):
        returned(owner, ["b\0c"], TEXT())
