from datetime import timedelta

import pytest
from marshmallow import ValidationError

from datastorage.settings.kinds import parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("300ms", timedelta(milliseconds=300)),
        ("30s", timedelta(seconds=30)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        (".5s", timedelta(milliseconds=500)),
        ("2.s", timedelta(seconds=2)),
        ("+1m", timedelta(minutes=1)),
        ("-1m", timedelta(minutes=-1)),
        ("7µs", timedelta(microseconds=7)),
        ("7μs", timedelta(microseconds=7)),
        ("1500ns", timedelta(microseconds=1)),
        ("0", timedelta(0)),
        ("168h", timedelta(days=7)),
    ],
)
def test_duration_is_read_as_go_reads_it(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "30", "1.5", "s", "30 s", "30d", "1h30", "x30s", "--1s", "٣s", "1s;", "9" * 5000 + "s", "off"],
)
def test_text_without_units_or_with_unknown_ones_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="such as 300ms, 30s or 1h30m"):
        parse_duration(text)


def test_duration_longer_than_go_can_count_is_refused() -> None:
    with pytest.raises(ValidationError, match="below 292 years"):
        parse_duration("2562048h")
