"""What of a body is decoded at all."""

from typing import Any, ClassVar

import msgspec
import pytest

from datastorage.errors import BatchSizeExceeded, InvalidInput
from datastorage.platform.web import json
from datastorage.platform.web.accept import QuickContract
from datastorage.platform.web.bodies import SMALL_BYTES
from datastorage.platform.web.contract import ArrayContract, Contract, Faults
from datastorage.platform.web.documents import JsonObject
from datastorage.platform.web.fields import Integer, Text
from datastorage.platform.web.nested import Nested


class Address(QuickContract):
    street = Text(maximum=20)


class Person(QuickContract):
    resource = "person"
    aliases: ClassVar = {"surname": "name"}
    also_read = ("born",)

    name = Text(maximum=20)
    age = Integer(minimum=0, maximum=200)
    address = Nested(Address())


PEOPLE = ArrayContract(Person(), resource="people", maximum=2)


@pytest.mark.parametrize(
    ("body", "known"),
    [
        (b'{"name":"A","x":[1,{"y":2}],"age":3}', {"name": "A", "age": 3}),
        (b'{"surname":"A","name":null}', {"surname": "A", "name": None}),
        (b'{"born":1950,"died":2020}', {"born": 1950}),
        (b'{"name":"A","name":"B"}', {"name": "B"}),
        (b' \n{"\\u006eame":"A"}', {"name": "A"}),
        (b'{"address":{"street":"S","x":1}}', {"address": {"street": "S"}}),
        (b'{"address":[1]}', {"address": [1]}),
        (b'{"address":"S"}', {"address": "S"}),
        (b"{}", {}),
        (b"[1]", None),
        (b"5", None),
        (b"null", None),
    ],
)
def test_only_known_members_are_decoded(body: bytes, known: Any) -> None:
    assert Person().decode(body) == known


def test_known_members_keep_the_order_in_which_they_were_sent() -> None:
    assert list(Person().decode(b'{"age":1,"x":2,"name":"A"}')) == ["age", "name"]


class Report(QuickContract):
    resource = "report"

    details = JsonObject(maximum_bytes=2 * SMALL_BYTES, maximum_depth=3)


@pytest.mark.parametrize("contract", [Report(), ArrayContract(Report(), resource="reports", maximum=1)])
@pytest.mark.parametrize("characters", [1, SMALL_BYTES])
def test_documents_of_a_large_body_stay_text_until_they_are_judged(contract: Any, characters: int) -> None:
    details = {"x": "y" * characters}
    body = json.encode({"details": details} if isinstance(contract, Contract) else [{"details": details}])

    decoded = contract.decode(body)
    [document] = (decoded if isinstance(contract, Contract) else decoded[0]).values()
    loaded = contract.read(decoded)

    assert isinstance(document, msgspec.Raw) == (characters == SMALL_BYTES)
    [judged] = (loaded if isinstance(contract, Contract) else loaded[0]).values()
    assert json.decode(judged.encode(), "report") == details


@pytest.mark.parametrize("depth", [3, 4, 400, 900])
def test_document_of_any_depth_is_judged(depth: int) -> None:
    body = b'{"details":' + b'{"x":' * depth + b"1" + b"}" * depth + b"}"
    faults = Report().faults_or_loaded(Report().opened(Report().decode(body), "report"))

    assert isinstance(faults, Faults) == (depth > 3)


def test_items_that_are_no_objects_stay_to_be_named() -> None:
    items = PEOPLE.decode(b'[{"name":"A","x":1},5,"x",null,[1.5],true]')

    assert items == [{"name": "A"}, 5, "x", None, [1.5], True]


@pytest.mark.parametrize("body", [b'[{"name":"A"},{},{}]', b"[1,2,3]"])
def test_array_of_too_many_is_refused_for_their_number(body: bytes) -> None:
    with pytest.raises(BatchSizeExceeded, match="got 3"):
        PEOPLE.read(PEOPLE.decode(body))


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"[1", "truncated"),
        (b'{"x":NaN}', "invalid character"),
        (b'{"x":1}}', "trailing characters"),
        (b'{"x":"\\ud800"}', "truncated"),
        (b'{"x":"\xff"}', "not UTF-8"),
        (b'{"\xc0\x80":1}', "not UTF-8"),
        (b'{"name":1e400}', "out of range"),
        (b'{"x":' + b"[" * 5000, "nested too deeply"),
    ],
)
def test_unknown_members_have_to_be_json_too(body: bytes, fault: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Person().decode(body)

    assert list(refused.value.field_errors) == ["body"]
    assert fault in refused.value.field_errors["body"]
