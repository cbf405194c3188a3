from datetime import date
from typing import Annotated, Any, Literal

import msgspec
import pytest
from sqlalchemy import Integer, String

from datastorage.dlq.payload import InvalidPayload, Payload
from datastorage.platform.db.columns import JSON_DOCUMENT
from datastorage.platform.records import (
    Member,
    Normaliser,
    Shown,
    aliases_of,
    columns_of,
    in_order,
    judges_of,
    meanings_of,
    members_of,
    optional_last,
    shown_members,
    text,
)
from datastorage.platform.web.fields import Integer as IntegerField


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A record with one member of each kind."""

    number: Annotated[str, text("Number.", 20, required=True, wire="no", aliases=("nr",))]
    note: Annotated[str | None, text("Note.", 50, shown=Shown.WHEN_SET)] = None
    priority: Annotated[
        int, Member("0 is first.", Integer(), IntegerField(minimum=0, maximum=9), default=5, nullable=True)
    ]
    label: Annotated[str, Member("Printed on it.", String(30), default=lambda values: f"#{values['number']}")]
    lines: Annotated[str | None, Member("What was ordered.", JSON_DOCUMENT)] = None
    id: Annotated[int | None, Member("Id.", Integer(), is_set_by_database=True)] = None
    is_new: Annotated[bool, Member("Seen here first.", is_queued=False, shown=Shown.NEVER)] = False


MEMBERS = members_of(Order)
normalised = Normaliser(Order, supplied=["is_new"])
PAYLOAD = Payload(Order)


def test_members_are_read_off_the_class_in_its_order() -> None:
    assert [each.name for each in MEMBERS] == list(Order.__struct_fields__)
    assert [each.wire for each in MEMBERS][:2] == ["no", "note"]
    assert [(each.type, each.is_optional) for each in MEMBERS[:3]] == [
        (str, False),
        (str, True),
        (int, False),
    ]
    assert [each.name for each in MEMBERS if each.is_document] == ["lines"]


def test_member_without_declaration_is_refused() -> None:
    class Careless(msgspec.Struct):
        number: int

    with pytest.raises(TypeError, match="nothing is declared about the member number"):
        members_of(Careless)


def test_columns_take_null_where_the_member_may_be_absent() -> None:
    columns = {column.name: column for column in columns_of(MEMBERS)}

    assert list(columns) == ["number", "note", "priority", "label", "lines", "id"]
    assert [name for name, column in columns.items() if column.nullable] == ["note", "priority", "lines"]


def test_request_has_what_is_judged_under_its_name_on_the_wire() -> None:
    assert list(judges_of(MEMBERS)) == ["no", "note", "priority"]
    assert aliases_of(MEMBERS) == {"nr": "no"}
    assert meanings_of(MEMBERS)["no"] == "Number."


def test_order_is_completed_by_members_it_does_not_name() -> None:
    ordered = optional_last(in_order(MEMBERS, ("priority", "note")))

    assert [each.wire for each in ordered] == ["priority", "no", "label", "lines", "id", "is_new", "note"]
    assert "is_new" not in [each.wire for each in shown_members(ordered)]


def test_order_with_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no member is called size"):
        in_order(MEMBERS, ("no", "size"))


@pytest.mark.parametrize("priority", [None, 0, 5])
def test_what_is_absent_or_zero_gets_its_default(priority: int | None) -> None:
    order = normalised({"no": "7", "priority": priority})

    assert (order.number, order.priority, order.label, order.note) == ("7", 5, "#7", None)


def test_member_that_nothing_fills_is_refused_at_start() -> None:
    class Careless(msgspec.Struct):
        region: Annotated[str, text("Neither required nor optional.", 60)]

    with pytest.raises(TypeError, match="nor with a default: region"):
        Normaliser(Careless)


def test_what_is_given_stays() -> None:
    order = normalised({"no": "7", "priority": 1, "label": "x", "note": "n"})

    assert (order.priority, order.label, order.note) == (1, "x", "n")


@pytest.mark.parametrize(
    "order",
    [
        Order(number="7", priority=1, label="x"),
        Order(number="7", priority=1, label="x", note="n", lines='{"a":[1,0.10]}'),
    ],
)
def test_record_comes_back_from_the_queue_as_it_was(order: Order) -> None:
    payload = msgspec.json.decode(msgspec.json.encode(PAYLOAD.encode(order)))

    assert normalised(PAYLOAD.decode(payload)) == msgspec.structs.replace(
        order, lines=order.lines and order.lines.replace("0.10", "0.1")
    )


def test_queue_keeps_what_is_set_under_its_name_on_the_wire() -> None:
    order = Order(number="7", priority=1, label="x", id=3, is_new=True)

    assert PAYLOAD.encode(order) == {"no": "7", "priority": 1, "label": "x"}


@pytest.mark.parametrize("members", [{"priority": 0}, {"priority": None}, {}])
def test_queued_member_that_is_absent_gets_the_default_of_a_request(members: dict[str, Any]) -> None:
    assert normalised(PAYLOAD.decode({"no": "7", **members})).priority == 5


@pytest.mark.parametrize(
    "payload", [{}, {"no": None}, {"no": 7}, {"no": "7", "lines": [1]}, {"no": "7", "note": 1}]
)
def test_payload_of_other_types_is_invalid(payload: dict[str, Any]) -> None:
    with pytest.raises(InvalidPayload):
        PAYLOAD.decode(payload)


def test_dates_stay_dates() -> None:
    class Day(msgspec.Struct):
        day: Annotated[date, Member("Day.")]

    assert Payload(Day).decode({"day": "2026-01-14"}) == {"day": date(2026, 1, 14)}


class Shelf(msgspec.Struct, kw_only=True):
    """A record with members of composed types."""

    state: Annotated[Literal["open", "closed"], Member("Whether.", String(9))]
    labels: Annotated[dict[str, int], Member("By name.", JSON_DOCUMENT)]
    notes: Annotated[list[str] | None, Member("Remarks.", JSON_DOCUMENT)] = None


def test_composed_types_are_kept_and_only_none_is_taken_off() -> None:
    assert [(each.type, each.is_optional) for each in members_of(Shelf)] == [
        (Literal["open", "closed"], False),
        (dict[str, int], False),
        (list[str], True),
    ]
