from datetime import UTC, datetime, timedelta

import pytest

from datastorage.errors import Fault
from datastorage.platform.web import grammar
from datastorage.platform.web.grammar import WINDOW, exact_time, integer, one_of, worded

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def read_instant(text: str) -> object:
    return exact_time(lambda: NOW).judge(text)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("1h30m", timedelta(minutes=90)),
        ("1d2h3m4s", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("3650d", timedelta(days=3650)),
        ("1s", timedelta(seconds=1)),
        ("0d1s", timedelta(seconds=1)),
    ],
)
def test_duration_means_that_long_before_now(text: str, ago: timedelta) -> None:
    assert read_instant(text) == NOW - ago


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-20T10:15:00Z", datetime(2026, 11, 20, 10, 15, tzinfo=UTC)),
        ("2026-11-20T10:15:00+02:00", datetime(2026, 11, 20, 8, 15, tzinfo=UTC)),
        ("2026-11-20T10:15:00", datetime(2026, 11, 20, 10, 15, tzinfo=UTC)),
        ("2026-11-20T10:15:00.1234567", datetime(2026, 11, 20, 10, 15, 0, 123456, tzinfo=UTC)),
        ("2026-11-20T10:15:00.999999999Z", datetime(2026, 11, 20, 10, 15, 0, 999999, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)
def test_absolute_time_is_cut_to_microseconds_and_in_utc_without_a_zone(text: str, instant: datetime) -> None:
    assert read_instant(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "", "0h", "-24h", "+24h", "24", "h", "1h1d", "1h1h", "1.5h", "24H", "3650d1s", "3651d",
        "9" * 30 + "d",
        "2026-W12", "2026-W12-1", "20261120", "2026-11-20T10", "2026-11-20 10:15:00", "2026-11-20T10:15:00z",
        "2026-02-29", "2026-11-20T24:00:00Z", "2026-11-20T10:15:60Z", "2026-11-20T10:15:00.1234567890Z",
        "2026-11-20T10:15:00+0200", "\u0662\u0664h", "24h ", "24h\n", "now", "0001-01-01T00:00:00+14:00",
    ],
)  # fmt: skip
def test_other_text_is_no_time(text: str) -> None:
    assert read_instant(text) == grammar.NOT_A_TIME


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("1h", timedelta(hours=1)),
        ("36h", timedelta(hours=36)),
        ("14d", timedelta(days=14)),
        ("3650d", timedelta(days=3650)),
        ("87600h", timedelta(days=3650)),
        ("0" * 5000 + "7d", timedelta(days=7)),
    ],
)
def test_window_is_a_number_of_hours_or_days(text: str, length: timedelta) -> None:
    assert WINDOW.judge(text) == length


@pytest.mark.parametrize(
    "text",
    [
        "0d",
        "0h",
        "-1d",
        "1x",
        "7days",
        "abc",
        "1.5h",
        "7D",
        "3651d",
        "87601h",
        "9" * 5000 + "d",
        "",
        "d",
        "\u0667d",
    ],
)
def test_other_text_is_no_window(text: str) -> None:
    assert WINDOW.judge(text) == grammar.NOT_A_WINDOW


@pytest.mark.parametrize(
    ("text", "number"), [("5", 5), ("+5", 5), ("05", 5), ("-0", 0), ("0" * 5000 + "9", 9)]
)
def test_integer_has_a_sign_and_leading_zeros_if_any(text: str, number: int) -> None:
    assert integer(0, 10).judge(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "11",
        "-1",
        "1_0",
        " 5",
        "5 ",
        "5\n",
        "\u0665",
        "\uff15",
        "5.0",
        "0x5",
        "1e0",
        "9" * 5000,
        "-" + "9" * 5000,
    ],
)
def test_other_text_is_no_integer_of_the_range(text: str) -> None:
    assert isinstance(integer(0, 10).judge(text), Fault)


def test_refusal_can_have_one_sentence_for_all() -> None:
    number = worded(integer(1, 2**63 - 1), "must be a positive integer")

    assert number.judge("9223372036854775807") == 2**63 - 1
    for text in ("9223372036854775808", "0", "x"):
        assert number.judge(text) == Fault("must be a positive integer")
    assert worded(one_of(("a", "b")), "no").schema == {"type": "string", "enum": ["a", "b"]}
