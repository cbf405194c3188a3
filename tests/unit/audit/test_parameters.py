from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from datastorage.audit.cursor import cursor_of
from datastorage.audit.model import AuditFilter, ExportRequest, PageRequest
from datastorage.audit.parameters import AuditSearch
from datastorage.audit.payload_filters import Match
from datastorage.errors import InvalidInput
from datastorage.platform.db.keyset import Position
from datastorage.platform.web.sent import Sent

NOW = datetime(2026, 1, 14, 12, 0, 0, 123456, tzinfo=UTC)
LINES = {"format": "ndjson"}
ID = UUID("0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11")


def read(**parameters: str) -> PageRequest:
    wanted = AuditSearch(lambda: NOW).read(Sent(parameters))
    assert isinstance(wanted, PageRequest)
    return wanted


def read_export(**parameters: str) -> ExportRequest:
    wanted = AuditSearch(lambda: NOW).read(Sent(parameters | LINES))
    assert isinstance(wanted, ExportRequest)
    return wanted


def values_of(wanted: AuditFilter) -> dict[str, Any]:
    return {condition.key: condition.value for condition in wanted.conditions}


def faults_of(parameters: dict[str, str]) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        AuditSearch(lambda: NOW).read(Sent(parameters))
    return dict(refused.value.field_errors)


def test_no_parameters_ask_for_the_first_page_of_everything() -> None:
    wanted = read()

    assert wanted == PageRequest(filter=wanted.filter, limit=50, offset=0, include_total=True)
    assert wanted.filter == AuditFilter()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24h", NOW - timedelta(hours=24)),
        ("7d", NOW - timedelta(days=7)),
        ("1h30m", NOW - timedelta(minutes=90)),
        ("1d12h", NOW - timedelta(hours=36)),
        ("1.5h", NOW - timedelta(minutes=90)),
        ("30m1h", NOW - timedelta(minutes=90)),
        ("250ms", NOW - timedelta(milliseconds=250)),
        ("3us", NOW - timedelta(microseconds=3)),
        ("2000ns", NOW - timedelta(microseconds=2)),
        ("0s", NOW),
        ("2026-01-14", datetime(2026, 1, 14, tzinfo=UTC)),
        ("2026-01-14T08:00:00", datetime(2026, 1, 14, 8, tzinfo=UTC)),
        ("2026-01-14T08:00:00Z", datetime(2026, 1, 14, 8, tzinfo=UTC)),
        ("2026-01-14T09:00:00+01:00", datetime(2026, 1, 14, 8, tzinfo=UTC)),
        ("2026-01-14T09:00:00 01:00", datetime(2026, 1, 14, 8, tzinfo=UTC)),
        ("2026-01-14T09:00:00.5 01:00", datetime(2026, 1, 14, 8, 0, 0, 500000, tzinfo=UTC)),
        ("2026-01-14T07:00:00-01:00", datetime(2026, 1, 14, 8, tzinfo=UTC)),
        ("2026-01-14T08:00:00.123456789Z", datetime(2026, 1, 14, 8, 0, 0, 123456, tzinfo=UTC)),
    ],
)
@pytest.mark.parametrize("parameter", ["since", "until", "start_time", "end_time"])
def test_time_grammar(parameter: str, text: str, expected: datetime) -> None:
    bound = {"start_time": "since", "end_time": "until"}.get(parameter, parameter)

    wanted = read(**{parameter: text}).filter

    assert values_of(wanted) == {bound: expected, f"{bound}_date": expected.date()}


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        " ",
        "24",
        "h",
        "-1h",
        "+1h",
        "1 h",
        "1H",
        "1w",
        ".5h",
        "1.h",
        "1h30",
        "1h30d!",
        "1e3s",
        "\u0661h",
        "9" * 400 + "d",
        "99999999d",
        "2026-1-14",
        "2026-02-30",
        "20260114",
        "2026-W03-3",
        "2026-01-14T08:00",
        "2026-01-14t08:00:00z",
        "2026-01-14 08:00:00",
        "2026-01-14T08:00:00.Z",
        "2026-01-14T08:00:00,5Z",
        "2026-01-14T24:00:00Z",
        "2026-01-14T23:59:60Z",
        "2026-01-14T09:00:00  01:00",
        "2026-01-14T09:00:00+0100",
        "2026-01-14T09:00:00+25:00",
        "0001-01-01T00:00:00+01:00",
        "2026-01-14T08:00:00Z\n",
    ],
)
def test_everything_else_is_no_time(text: str) -> None:
    faults = faults_of({"since": text})

    assert faults == {
        "since": f"invalid time format: {text} (expected 24h, 7d or an RFC 3339 timestamp)",
    }


@pytest.mark.parametrize(
    ("text", "expected"), [("0", 0), ("00", 0), ("-0", 0), ("7", 7), ("9223372036854775807", 2**63 - 1)]
)
def test_offset_may_be_any_non_negative_64_bit_integer(text: str, expected: int) -> None:
    assert read(offset=text).offset == expected


@pytest.mark.parametrize("zeros", [1, 30, 5000])
def test_leading_zeros_change_nothing(zeros: int) -> None:
    assert read(limit="0" * zeros + "7").limit == 7


def test_payload_filters_are_gathered_from_their_names() -> None:
    wanted = read(
        **{
            "event_data.a.b-c.0": "x",
            "detail_key": "k",
            "detail_value": "v",
            "event_data_contains": '{"n": 1.0}',
        }
    ).filter

    assert values_of(wanted) == {
        "event_data_contains": '{"n":1.0}',
        "event_data.a.b-c.0": Match(("a", "b-c", "0"), "x"),
        "event_data.k": Match(("k",), "v"),
    }
    assert wanted.needs_values


def test_eight_segments_of_64_characters_are_a_path() -> None:
    path = ".".join(["a" * 64] * 8)

    [condition] = read(**{f"event_data.{path}": "x"}).filter.conditions
    assert condition.value.path == ("a" * 64,) * 8


def test_cursor_takes_the_place_of_the_offset() -> None:
    position = Position(NOW, ID)

    wanted = read(cursor=cursor_of(position, ascending=True), order="asc", offset="100")

    assert wanted.filter.after == position
    assert wanted.filter.ascending
    assert wanted.offset == 0


def test_export_has_limits_of_its_own() -> None:
    assert read_export().limit == 10_000
    assert read_export(limit="100000").limit == 100_000
    assert faults_of({"limit": "100001"} | LINES) == {"limit": "must be at most 100000"}
    assert list(faults_of({"offset": "0"} | LINES)) == ["offset"]


def test_faults_come_in_the_order_of_the_parameters() -> None:
    faults = faults_of({"event_data.a..b": "1", "cursor": "!!", "offset": "-1", "limit": "0", "until": "x"})

    assert list(faults) == ["until", "limit", "offset", "cursor", "event_data.a..b"]
