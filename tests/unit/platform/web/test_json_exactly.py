"""Bodies whose numbers are kept as they were written."""

from decimal import Decimal

import pytest

from datastorage.errors import InvalidInput
from datastorage.platform.web import json


@pytest.mark.parametrize(
    "text", ["0.45000000000000000000000000000001", "1.50", "1E-999", "123456789012345678901"]
)
def test_number_comes_back_digit_by_digit(text: str) -> None:
    value = json.decode_exactly(text.encode(), "body")

    assert json.encode_exactly(value) == text.encode()


def test_fraction_is_the_decimal_that_was_written() -> None:
    assert json.decode_exactly(b"0.1", "body") == Decimal("0.1")


@pytest.mark.parametrize("text", ["0.0", "-0.0", "0e400", "0.000e-5000"])
def test_every_zero_is_zero(text: str) -> None:
    assert json.encode_exactly(json.decode_exactly(text.encode(), "body")) == b"0"


@pytest.mark.parametrize(
    "text",
    ["1e400", "-1e400", "1e-1001", "1e-99999999999999999999", "0e99999999999999999999", "0." + "1" * 1000],
)
def test_number_that_postgresql_may_not_hold_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        json.decode_exactly(text.encode(), "body")

    assert "out of range" in refused.value.field_errors["body"]
