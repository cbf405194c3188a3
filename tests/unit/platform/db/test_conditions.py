import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, select
from sqlalchemy.dialects.postgresql import JSONB

from datastorage.platform.db.conditions import (
    ABOVE,
    AT_LEAST,
    AT_MOST,
    BELOW,
    CONTAINS,
    Condition,
    Operator,
    conditions_of,
    equals,
    need_values,
    shape_of,
    values,
    where,
)
from datastorage.platform.db.rendered import DIALECT

ORDERS = Table(
    "orders", MetaData(), Column("customer", String), Column("price", Integer), Column("lines", JSONB)
)
COLUMNS = ORDERS.c


def text_of(conditions: tuple[Condition, ...]) -> str:
    compiled = str(select(COLUMNS.price).where(*where(conditions)).compile(dialect=DIALECT))
    return " ".join(compiled.split()).partition("WHERE ")[2]


@pytest.mark.parametrize(
    ("operator", "sign"), [(AT_LEAST, ">="), (AT_MOST, "<="), (ABOVE, ">"), (BELOW, "<")]
)
def test_range_is_compared_with_a_bound_value(operator: Operator, sign: str) -> None:
    wanted = (Condition("bound", COLUMNS.price, operator, 7),)

    assert text_of(wanted) == f"orders.price {sign} %(bound)s::INTEGER"
    assert values(wanted) == {"bound": 7}


def test_text_cache_key_and_values_come_from_the_same_conditions() -> None:
    cheap, dear = (
        (equals(COLUMNS.customer, who), Condition("least", COLUMNS.price, AT_LEAST, price))
        for who, price in (("a", 1), ("b", 1000))
    )

    assert shape_of(cheap) == shape_of(dear)
    assert hash(shape_of(cheap)) == hash(shape_of(dear))
    assert text_of(conditions_of(shape_of(cheap))) == text_of(cheap) == text_of(dear)
    assert values(dear) == {"customer": "b", "least": 1000}


@pytest.mark.parametrize(
    "other",
    [
        (Condition("least", COLUMNS.price, AT_MOST, 1),),
        (Condition("most", COLUMNS.price, AT_LEAST, 1),),
        (Condition("least", COLUMNS.customer, AT_LEAST, 1),),
        (),
    ],
)
def test_filters_of_other_text_have_another_shape(other: tuple[Condition, ...]) -> None:
    assert shape_of(other) != shape_of((Condition("least", COLUMNS.price, AT_LEAST, 1),))


def test_condition_that_is_planned_with_its_value_is_never_kept() -> None:
    wanted = (equals(COLUMNS.customer, "a"), Condition("inside", COLUMNS.lines, CONTAINS, '{"a":1}'))

    assert need_values(wanted)
    assert not need_values(wanted[:1])
    assert "orders.lines @> CAST(" in text_of(wanted)
    with pytest.raises(ValueError, match="no text to keep"):
        conditions_of(shape_of(wanted))
