"""What is refused when a schema is made, because the short way could not honour it."""

from typing import Any

import pytest
from marshmallow import INCLUDE, Schema, ValidationError, validate, validates
from marshmallow import fields as marshmallow_fields

from datastorage.platform.web.accept import Accept, QuickContract
from datastorage.platform.web.fields import Text


class Renamed(QuickContract):
    name = Text(maximum=5, data_key="Name")


class Foreign(QuickContract):
    name = marshmallow_fields.String()


class Validated(QuickContract):
    name = Text(maximum=5, validate=validate.Length(max=3))


class OwnWay(Text):
    def deserialize(self, value: Any, *context: Any, **partial: Any) -> Any:
        return super().deserialize(value or "x", *context, **partial)


class OwnField(QuickContract):
    name = OwnWay(maximum=5)


class OwnLoad(QuickContract):
    name = Text(maximum=5)

    def load(self, data: Any, **options: Any) -> Any:
        return super().load(data, **options)


class Including(QuickContract):
    name = Text(maximum=5)

    class Meta:
        """Keeps what it does not know."""

        unknown = INCLUDE


class Astray(QuickContract):
    name = Text(maximum=5)

    @validates("nome")
    def look(self, value: str, **_: Any) -> None:
        raise ValidationError(value)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (Renamed, "the field name has a name"),
        (Foreign, "the field name cannot be judged on its own"),
        (Validated, "a validator beside its judge"),
        (OwnField, "the field name cannot be judged on its own"),
        (OwnLoad, "OwnLoad has a load of its own"),
        (Including, "does not load single objects with unknown members ignored"),
        (Astray, "validates nome, which is no field"),
    ],
)
def test_schema_that_loads_otherwise_is_refused(schema: type[QuickContract], reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        schema()


def test_partial_schema_is_refused() -> None:
    with pytest.raises(TypeError, match="does not load single objects"):
        Accept(Schema.from_dict({"name": Text(maximum=5)})(partial=True))


def test_object_is_accepted_as_marshmallow_would() -> None:
    class Ping(QuickContract):
        name = Text(required=True, maximum=5)
        note = Text(maximum=5)

    accept = Accept(Ping())

    assert accept({"name": "a", "other": 1}) == {"name": "a", "note": None}
    assert accept({"note": "a"}) is None
    assert accept({"name": None}) is None
    assert accept({"name": "too long"}) is None
