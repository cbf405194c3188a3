from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table

from datastorage.errors import Fault, InvalidInput
from datastorage.platform.db.conditions import AT_LEAST, EQUALS, Condition
from datastorage.platform.web.grammar import integer, one_of
from datastorage.platform.web.parameters import Find, Parameter, ParameterReader, Reading, equal_to
from datastorage.platform.web.sent import Sent

COLUMNS = Table("orders", MetaData(), Column("customer", String), Column("price", Integer)).c
NOT_ALONE = Fault("needs customer")

CUSTOMER = Parameter("customer", "Who.", finds=equal_to(COLUMNS.customer), aliases=("client", "buyer"))
LEAST = Parameter("least", "Price.", integer(0, 99), finds=(Find(COLUMNS.price, AT_LEAST),))
LIMIT = Parameter("limit", "Rows.", integer(1, 10), default=5, empty_is_absent=False)
ORDER = Parameter("order", "Which way.", one_of(("asc", "desc")))


def require_customer(reading: Reading) -> None:
    if "least" in reading.sent.texts and not reading.text("customer"):
        reading.refuse("least", NOT_ALONE)


def as_it_is(reading: Reading) -> Reading:
    return reading


READER = ParameterReader(CUSTOMER, LEAST, LIMIT, ORDER, make=as_it_is)
RULED = ParameterReader(LIMIT, LEAST, CUSTOMER, make=as_it_is, rules=[require_customer])


def read(**texts: str) -> Reading:
    return READER.read(Sent(texts))


def faults_of(reader: ParameterReader[Any], prefer: str = "", **texts: str) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        reader.read(Sent(texts, prefer=prefer))
    return dict(refused.value.field_errors)


def test_parameters_that_were_not_sent_have_their_defaults() -> None:
    assert read().values == {"customer": None, "least": None, "limit": 5, "order": None}
    assert read().filter == ()


def test_values_become_conditions_in_the_order_of_declaration() -> None:
    by_customer = Condition("customer", COLUMNS.customer, EQUALS, "a")
    at_least = Condition("least", COLUMNS.price, AT_LEAST, 7)

    assert read(customer="a", least="7").filter == (by_customer, at_least)
    assert read(least="7", limit="3", customer="a").filter == (by_customer, at_least)


def test_parameter_may_make_several_conditions() -> None:
    finds = (Find(COLUMNS.price, AT_LEAST), Find(COLUMNS.customer, EQUALS, key="name", of=str))
    reader = ParameterReader(Parameter("x", "", integer(0, 9), finds=finds), make=as_it_is)

    assert [(each.key, each.value) for each in reader.read(Sent({"x": "3"})).filter] == [
        ("x", 3),
        ("name", "3"),
    ]


@pytest.mark.parametrize(
    ("texts", "value"),
    [
        ({"client": "a"}, "a"),
        ({"client": "a", "customer": "b"}, "b"),
        ({"client": "a", "customer": ""}, "a"),
        ({"buyer": "c", "client": "a"}, "a"),
        ({"customer": ""}, None),
        ({"client": ""}, None),
    ],
)
def test_current_name_wins_where_it_says_something(texts: dict[str, str], value: str | None) -> None:
    assert read(**texts).values["customer"] == value


def test_empty_text_is_judged_only_where_it_is_not_absence() -> None:
    assert read(order="").values["order"] is None
    assert faults_of(READER, limit="") == {"limit": "must be an integer"}


def test_faults_come_in_the_order_of_declaration() -> None:
    faults = faults_of(READER, order="up", limit="0", least="-1")

    assert list(faults.items()) == [
        ("least", "must be at least 0"),
        ("limit", "must be at least 1"),
        ("order", "must be one of: asc, desc (got 'up')"),
    ]


def test_rule_adds_to_the_faults_of_single_parameters() -> None:
    assert faults_of(RULED, least="7", limit="0") == {"limit": "must be at least 1", "least": NOT_ALONE}
    assert faults_of(RULED, least="x") == {"least": "must be an integer"}


def test_required_parameter_has_to_say_something() -> None:
    needed = Parameter("customer", "Who.", missing=Fault("is required", "required"))
    reader = ParameterReader(needed, make=as_it_is)

    assert faults_of(reader) == faults_of(reader, customer="") == {"customer": "is required"}
    assert reader.read(Sent({"customer": "a"})).values == {"customer": "a"}


def test_unknown_names_are_refused_only_on_request() -> None:
    strict = ParameterReader(CUSTOMER, make=as_it_is, can_be_strict=True)

    assert strict.read(Sent({"colour": "red"})).filter == ()
    assert READER.read(Sent({"colour": "red"}, prefer="handling=strict")).filter == ()
    assert faults_of(strict, "handling=strict", colour="red", client="a") == {
        "colour": "is not a parameter of this request"
    }


@pytest.mark.parametrize(
    "again",
    [
        Parameter("client", "An older name of another."),
        Parameter("other", "", finds=(Find(COLUMNS.price, AT_LEAST, key="customer"),)),
    ],
)
def test_names_and_keys_are_declared_once(again: Parameter) -> None:
    with pytest.raises(ValueError, match="declared twice"):
        ParameterReader(CUSTOMER, again, make=as_it_is)


def test_default_is_part_of_the_schema() -> None:
    assert LIMIT.openapi() == {"type": "integer", "minimum": 1, "maximum": 10, "default": 5}
    assert "default" not in LEAST.openapi()
