"""Arrays written as text come back from PostgreSQL as they were."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import ARRAY, Boolean, Connection, Date, Integer, Uuid, bindparam, cast, select
from sqlalchemy.dialects.postgresql import TEXT
from sqlalchemy.types import TypeEngine

from datastorage.platform.db.columns import TIMESTAMPTZ
from datastorage.platform.db.sent_rows import array_text


def returned(connection: Connection, values: list[Any], kind: TypeEngine[Any]) -> list[Any]:
    sent = cast(bindparam("sent", array_text(values), TEXT()), ARRAY(kind))
    found: list[Any] = connection.execute(select(sent)).scalar_one()
    return found


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
        ["NULL", "null", "", " ", "{}", '{"a": "b\\"c"}', "a,b", "\\", '"', "\n\t\r\v", "\x01"],
        ["one", None, "NULL"],
        [None, None],
        [],
    ],
)
def test_text_that_means_something_in_arrays_survives(owner: Connection, values: list[str | None]) -> None:
    assert returned(owner, values, TEXT()) == values


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([UUID("0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11"), None], Uuid()),
        ([date(1, 1, 1), date(2026, 2, 28), date(9999, 12, 31)], Date()),
        ([0, -(2**31), 2**31 - 1, None], Integer()),
        ([True, False, None], Boolean()),
    ],
)
def test_values_of_other_types_survive(owner: Connection, values: list[Any], kind: TypeEngine[Any]) -> None:
    assert returned(owner, values, kind) == values


def test_instants_survive_to_the_microsecond_in_any_zone(owner: Connection) -> None:
    instants = [
        datetime(1, 1, 2, tzinfo=UTC),
        datetime(2026, 1, 14, 8, 12, 45, 120934, tzinfo=UTC),
        datetime(2026, 1, 14, 8, 12, 45, 1, tzinfo=timezone(timedelta(hours=-9, minutes=-30))),
    ]

    assert returned(owner, instants, TIMESTAMPTZ) == instants


def test_nul_is_refused_as_the_driver_refuses_it() -> None:
    with pytest.raises(psycopg.DataError, match="NUL"):
        array_text(["a", "b\0c"])
