"""The size of JSON with every number in plain decimal form, found without writing any."""

from decimal import Decimal
from typing import Any

import pytest

from datastorage.platform.web import json
from datastorage.platform.web.sizes import is_far_too_large, plain_sizes

NUMBERS = [
    "1e308", "1e-300", "-1.5e22", "-2.5e-7", "1E+21", "1.7976931348623157e308", "5e-324", "1e16", "1e17",
    "123.25", "-0.0", "12345678901234567890", "0.1", "100",
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_number_counts_by_its_plain_form(number: str) -> None:
    document = json.encode(json.decode(f"[{number}]".encode(), "body"))
    plain = f"{Decimal(document.decode().strip('[]')):f}"

    assert plain_sizes([document], len(document)) == [len(f"[{plain}]")]


@pytest.mark.parametrize("number", [*NUMBERS, "1.50E-998", "9E-1000", "0." + "1" * 900 + "e-99"])
def test_number_kept_to_the_digit_counts_by_its_plain_form(number: str) -> None:
    document = json.encode_exactly(json.decode_exactly(f"[{number}]".encode(), "body"))
    plain = f"{Decimal(document.decode().strip('[]')):f}"

    assert plain_sizes([document], len(document)) == [len(f"[{plain}]")]


@pytest.mark.parametrize(
    "value", ["1e308", 'a "quoted" 1e308', "\\", '\\"', {"1e308": "2e308"}, [",1e308,", ":1e308"]]
)
def test_digits_in_strings_are_text(value: Any) -> None:
    document = json.encode([value, 1e308])

    assert plain_sizes([document], len(document)) == [len(document) + 304]


def test_documents_that_cannot_exceed_are_not_searched() -> None:
    documents = [b"[1e308]", b"[1e-300]"]

    assert plain_sizes(documents, 1 << 20) == [7, 8]
    assert plain_sizes(documents, 20) == [311, 304]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b'{"x":"' + b"y" * 200 + b'"}', False),
        (b'{"x":"' + b"y" * 201 + b'"}', True),
        (b'{"x":"' + b" " * 900 + b'"}', False),
        (b'{"x":"' + b"\\u00e9" * 100 + b'"}', False),
        (b'{"x":"' + b"\\\\" * 150 + b'"}', False),
        (b'{"x":[' + b",".join([b"1e308"]) + b"]}", True),
        (b'{"x":"[1e308]"}', False),
        (b'{"x":[' + b",".join([b"0e308"] * 9) + b"]}", False),
    ],
)
def test_only_what_is_far_too_large_is_not_decoded(sent: bytes, *, expected: bool) -> None:
    assert is_far_too_large(sent, 104) is expected
