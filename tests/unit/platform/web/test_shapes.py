"""The document of an answer is read off what is sent."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from apispec import APISpec
from sqlalchemy import Integer, String

from datastorage.platform.db.columns import JSON_DOCUMENT
from datastorage.platform.records import Member, Shown, members_of, optional_last
from datastorage.platform.web import json
from datastorage.platform.web.openapi.shapes import reference
from datastorage.platform.web.shapes import RowShape, Shape, meaning


class Part(msgspec.Struct):
    """A part."""

    size: float


class Thing(msgspec.Struct, omit_defaults=True):
    """A thing. Never mind the rest."""

    thing_id: Annotated[UUID, meaning("Which one.")]
    made_at: datetime
    parts: list[Part]
    note: str | None = None


class Row(msgspec.Struct, kw_only=True):
    """A row."""

    name: Annotated[str, Member("Its name.", String(9), wire="title")]
    count: Annotated[int | None, Member("How many.", Integer)] = None
    extra: Annotated[str | None, Member("More.", String(9), shown=Shown.WHEN_SET)] = None
    data: Annotated[str, Member("Payload.", JSON_DOCUMENT)]
    secret: Annotated[str, Member("Never shown.", String(9), shown=Shown.NEVER)]


ROW = RowShape("Row", "One row.", optional_last(members_of(Row)), {"title": "a"})


class RowPage(msgspec.Struct):
    """A page of rows."""

    rows: Annotated[list[msgspec.Raw], meaning("The rows.", of=ROW)]
    total: int | None


@pytest.fixture
def spec() -> APISpec:
    return APISpec("shapes", "1", "3.1.0")


def component(spec: APISpec, shape: Shape) -> dict[str, Any]:
    name = reference(spec, shape)["$ref"].rpartition("/")[2]
    found: dict[str, Any] = spec.components.schemas[name]
    return found


def test_struct_is_described_by_its_types(spec: APISpec) -> None:
    described = component(spec, Thing)

    assert described["title"] == "Thing"
    assert described["properties"] == {
        "thing_id": {"type": "string", "format": "uuid", "description": "Which one."},
        "made_at": {"type": "string", "format": "date-time"},
        "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
        "note": {"type": "string"},
    }
    assert described["required"] == ["thing_id", "made_at", "parts"]


def test_described_members_are_those_that_are_sent(spec: APISpec) -> None:
    thing = Thing(UUID(int=7), datetime.fromisoformat("2026-01-14T08:12:45+00:00"), [Part(1.5)], "a note")

    sent = msgspec.json.decode(json.encode(thing))

    assert list(component(spec, Thing)["properties"]) == list(sent)


def test_row_is_described_by_the_members_of_its_record(spec: APISpec) -> None:
    described = component(spec, ROW)

    assert list(described["properties"]) == ["title", "count", "data", "extra"]
    assert described["properties"]["count"] == {"type": ["integer", "null"], "description": "How many."}
    assert described["required"] == ["title", "count", "data"]
    assert described["examples"] == [{"title": "a"}]


def test_raw_rows_in_a_page_refer_to_their_shape(spec: APISpec) -> None:
    described = component(spec, RowPage)

    assert described["properties"]["rows"]["items"] == {"$ref": "#/components/schemas/Row"}
    assert described["properties"]["total"] == {"type": ["integer", "null"]}
