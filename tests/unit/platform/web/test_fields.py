import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import marshmallow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastorage.errors import Fault
from datastorage.platform.web import fields, literals
from datastorage.platform.web.documents import JsonObject

NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)


def fault_of(field: fields.Judged, value: Any) -> tuple[str, str]:
    """Return the sentence and the counted reason with which ``field`` refuses ``value``."""
    with pytest.raises(marshmallow.ValidationError) as caught:
        field.deserialize(value)
    fault = caught.value.messages[0]
    assert isinstance(fault, Fault)
    return str(fault), fault.reason


@pytest.mark.parametrize(
    "field",
    [
        fields.Text(maximum=5, required=True),
        fields.Choice(["a"], maximum=5, required=True),
        fields.Integer(minimum=0, maximum=5, required=True),
        fields.Boolean(required=True),
        fields.Uuid(required=True),
        fields.IpAddress(required=True),
        fields.Instant(required=True),
        fields.DateHint(required=True),
        JsonObject(maximum_bytes=10, maximum_depth=2, required=True),
    ],
    ids=lambda field: type(field).__name__,
)
@pytest.mark.parametrize("value", [None, marshmallow.missing], ids=["null", "missing"])
def test_required_field_without_a_value_is_refused(field: fields.Judged, value: Any) -> None:
    assert fault_of(field, value) == ("required field missing", "required")


@pytest.mark.parametrize(
    "field",
    [
        fields.Text(maximum=5),
        fields.Choice(["a"], maximum=5),
        fields.Integer(minimum=0, maximum=5),
        fields.Boolean(),
        fields.Uuid(),
        fields.IpAddress(),
        fields.Instant(),
        fields.DateHint(),
        JsonObject(maximum_bytes=10, maximum_depth=2),
    ],
    ids=lambda field: type(field).__name__,
)
def test_optional_field_without_a_value_is_none(field: fields.Judged) -> None:
    assert field.deserialize(None) is None
    assert field.deserialize(marshmallow.missing) is None


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("", ("must not be empty", "required")),
        (" \n", ("must not be empty", "whitespace_only")),
        ("sixsix", ("must be at most 5 characters (got 6)", "length_exceeded")),
        ("a\0b", ("must not contain NUL characters", "invalid")),
        (5, ("must be a string", "invalid")),
    ],
)
def test_fault_of_a_text_has_a_reason_to_count(value: Any, fault: tuple[str, str]) -> None:
    assert fault_of(fields.Text(maximum=5, required=True), value) == fault


@given(st.text(min_size=1, max_size=20).filter(lambda text: "\0" not in text and not text.isspace()))
def test_text_within_its_limit_is_kept(text: str) -> None:
    assert fields.Text(maximum=20).deserialize(text) == text


def test_length_of_a_choice_is_judged_before_the_list() -> None:
    choice = fields.Choice(["one", "two"], maximum=5)

    assert fault_of(choice, "sixsix") == ("must be at most 5 characters (got 6)", "length_exceeded")
    assert fault_of(choice, "three") == ("must be one of: one, two (got 'three')", "invalid")
    assert choice.deserialize("two") == "two"


@pytest.mark.parametrize("value", [True, 1.5, "1", [], {}], ids=repr)
def test_integer_is_not_guessed(value: Any) -> None:
    assert fault_of(fields.Integer(minimum=0, maximum=5), value) == ("must be an integer", "invalid")


def test_integer_may_be_written_with_a_fraction_of_zero() -> None:
    integer = fields.Integer(minimum=0, maximum=5).deserialize(3.0)

    assert (integer, type(integer)) == (3, int)


def test_integer_range_includes_its_ends() -> None:
    integer = fields.Integer(minimum=-1, maximum=5)

    assert (integer.deserialize(-1), integer.deserialize(0), integer.deserialize(5)) == (-1, 0, 5)
    assert fault_of(integer, -2)[0] == "must be at least -1"
    assert fault_of(integer, 6)[0] == "must be at most 5"


def test_zero_may_mean_absent() -> None:
    integer = fields.Integer(minimum=1, maximum=5, zero_is_absent=True)

    assert integer.deserialize(0) is None
    assert fault_of(integer, False) == ("must be an integer", "invalid")


@given(st.uuids())
def test_uuid_is_read_in_any_case(value: uuid.UUID) -> None:
    assert fields.Uuid(required=True).deserialize(str(value)) == value
    assert fields.Uuid(required=True).deserialize(str(value).upper()) == value


@pytest.mark.parametrize("text", ["{}", "urn:uuid:{}", "{} "], ids=["braces", "urn", "blank behind it"])
def test_uuid_in_another_notation_is_refused(text: str) -> None:
    spelled = text.format(uuid.UUID(int=17)) if text != "{}" else "{" + str(uuid.UUID(int=17)) + "}"

    assert fault_of(fields.Uuid(), spelled) == ("must be a valid UUID", "invalid")


def test_nil_uuid_means_absent_only_where_that_is_allowed() -> None:
    nil = uuid.UUID(int=0)

    assert fields.Uuid().deserialize(str(nil)) is None
    assert fields.Uuid(required=True).deserialize(str(nil)) == nil


@pytest.mark.parametrize(("text", "canonical"), [("10.0.0.1", "10.0.0.1"), ("2001:DB8:0::1", "2001:db8::1")])
def test_address_is_kept_in_canonical_form(text: str, canonical: str) -> None:
    assert fields.IpAddress().deserialize(text) == canonical


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-14T12:00:00Z", NOON),
        ("2026-01-14T12:00:00.1Z", NOON.replace(microsecond=100_000)),
        ("2026-01-14T12:00:00.999999999Z", NOON.replace(microsecond=999_999)),
        ("2026-01-14T12:00:00-00:00", NOON),
        ("2026-01-14T17:30:00+05:30", NOON),
        ("2026-01-13T12:01:00-23:59", NOON),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_instant_is_read_as_utc_and_cut_to_microseconds(text: str, instant: datetime) -> None:
    assert literals.parse_instant(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-14",
        "2026-01-14T12:00:00",
        "2026-01-14 12:00:00Z",
        "2026-01-14t12:00:00z",
        "2026-01-14T12:00:00,5Z",
        "2026-01-14T12:00:00.Z",
        "2026-01-14T12:00:00.1234567890Z",
        "2026-01-14T12:00Z",
        "2026-01-14T24:00:00Z",
        "2026-01-14T12:60:00Z",
        "2026-01-14T12:00:60Z",
        "2026-02-29T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-01-14T12:00:00+5:30",
        "2026-01-14T12:00:00+0530",
        "2026-01-14T12:00:00+24:00",
        "2026-01-14T12:00:00+05:60",
        "2026-W03-3T12:00:00Z",
        "20260114T120000Z",
        " 2026-01-14T12:00:00Z",
        "2026-01-14T12:00:00Z\n",
        "２０２６-01-14T12:00:00Z",  # noqa: RUF001 - digits that Python's int() would take
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    ],
)
def test_other_notations_of_an_instant_are_refused(text: str) -> None:
    assert literals.parse_instant(text) is None
    assert fault_of(fields.Instant(), text)[0] == "must be an RFC 3339 timestamp with a time zone"


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31)),  # noqa: DTZ001 - zones are drawn apart
    st.integers(min_value=-1439, max_value=1439),
)
def test_any_instant_survives_being_written_in_any_zone(local: datetime, offset_minutes: int) -> None:
    at = local.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))

    assert literals.parse_instant(at.isoformat()) == at


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-01-14", date(2026, 1, 14)),
        ("2026-01-14T00:30:00+01:00", date(2026, 1, 13)),
        ("", None),
    ],
)
def test_date_hint_is_a_date_in_utc(text: str, day: date | None) -> None:
    assert fields.DateHint().deserialize(text) == day


@pytest.mark.parametrize("text", ["20260114", "2026-W03-3", "2026-02-30", "14.01.2026", "2026-1-4"])
def test_other_notations_of_a_date_are_refused(text: str) -> None:
    assert literals.parse_date(text) is None
    assert fault_of(fields.DateHint(), text)[1] == "invalid"


def an_object() -> JsonObject:
    return JsonObject(maximum_bytes=20, maximum_depth=3)


def test_object_is_kept_as_compact_json() -> None:
    assert an_object().deserialize({"a": [1, {"é": 2}]}) == '{"a":[1,{"é":2}]}'


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ([], ("must be a JSON object", "invalid_event_data")),
        ({"x": "y" * 13}, ("exceeds the maximum size of 20 bytes", "too_large")),
        ({"x": "é" * 7}, ("exceeds the maximum size of 20 bytes", "too_large")),
        ({"x": [[[]]]}, ("exceeds the maximum nesting depth of 3", "invalid_event_data")),
        ({"x": "\0"}, ("must not contain NUL characters", "invalid")),
        ({"\0": 1}, ("must not contain NUL characters", "invalid")),
    ],
    ids=["array", "long", "long in UTF-8", "deep", "NUL in a value", "NUL in a name"],
)
def test_fault_of_an_object_has_a_reason_to_count(value: Any, fault: tuple[str, str]) -> None:
    assert fault_of(an_object(), value) == fault


def test_object_at_its_limits_is_kept() -> None:
    assert len(an_object().deserialize({"x": "y" * 12})) == 20
    assert an_object().deserialize({"x": [[]]}) == '{"x":[[]]}'


def test_escape_that_only_looks_like_nul_is_kept() -> None:
    assert an_object().deserialize({"x": "\\u0000"}) == '{"x":"\\\\u0000"}'
