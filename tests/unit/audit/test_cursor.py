from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest

from datastorage.audit.cursor import cursor_of, position_of
from datastorage.platform.db import keyset
from datastorage.platform.db.keyset import Position

AT = datetime(2026, 1, 14, 8, 12, 45, 120934, tzinfo=UTC)
ID = UUID("0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11")


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("at", [AT, AT.replace(microsecond=0), datetime.min.replace(tzinfo=UTC)])
def test_position_comes_back(at: datetime, *, ascending: bool) -> None:
    position = Position(at, uuid4())

    cursor = cursor_of(position, ascending=ascending)

    assert position_of(cursor, ascending=ascending) == position


def test_position_in_another_zone_comes_back_in_utc() -> None:
    local = AT.astimezone(timezone(timedelta(hours=10)))

    position = position_of(cursor_of(Position(local, ID), ascending=False), ascending=False)

    assert position.at.date() == AT.date()
    assert position.at.tzinfo is UTC


def test_zone_of_a_foreign_cursor_does_not_move_its_date() -> None:
    foreign = keyset.encode({"t": "2026-01-15T02:00:00+10:00", "id": str(ID), "o": "desc"})

    position = position_of(foreign, ascending=False)

    assert position.at.date().isoformat() == "2026-01-14"


def test_cursor_of_the_other_order_is_refused() -> None:
    cursor = cursor_of(Position(AT, ID), ascending=True)

    with pytest.raises(keyset.InvalidCursor):
        position_of(cursor, ascending=False)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"t": AT.isoformat(), "o": "desc"},
        {"t": AT.isoformat(), "o": "desc", "id": "abc"},
        {"t": AT.isoformat(), "o": "desc", "id": 5},
        {"id": str(ID), "o": "desc"},
        {"t": None, "id": str(ID), "o": "desc"},
        {"t": 1768378365, "id": str(ID), "o": "desc"},
        {"t": "soon", "id": str(ID), "o": "desc"},
        {"t": "2026-01-14T08:00:00", "id": str(ID), "o": "desc"},
        {"t": "0001-01-01T00:00:00+14:00", "id": str(ID), "o": "desc"},
        {"t": AT.isoformat(), "id": str(ID), "o": "DESC"},
        {"t": AT.isoformat(), "id": str(ID), "o": None},
    ],
)
def test_members_that_are_no_position_are_refused(members: dict[str, object]) -> None:
    with pytest.raises(keyset.InvalidCursor):
        position_of(keyset.encode(members), ascending=False)
