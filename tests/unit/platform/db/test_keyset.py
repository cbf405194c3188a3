import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastorage.platform.db import keyset

SIMPLE = st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.text(max_size=20), max_size=3)


@given(SIMPLE)
def test_position_comes_back(position: dict[str, Any]) -> None:
    cursor = keyset.encode(position)

    assert not set(cursor) & set("+/=")
    if len(cursor) <= keyset.MAX_CURSOR_CHARACTERS:
        assert keyset.decode(cursor) == position


@given(st.text(max_size=600))
def test_any_text_is_a_position_or_refused(text: str) -> None:
    try:
        position = keyset.decode(text)
    except keyset.InvalidCursor:
        return

    assert isinstance(position, dict)


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!!",
        "A",
        "e30!",
        "e 30",
        encoded(b"[]"),
        encoded(b'"x"'),
        encoded(b"{"),
        encoded(b"\xff"),
        encoded(b'{"a":' + b"[" * 300),
        "e" * 513,
    ],
)
def test_what_encode_never_makes_is_refused(cursor: str) -> None:
    with pytest.raises(keyset.InvalidCursor):
        keyset.decode(cursor)


@pytest.mark.parametrize("value", [None, 5, "", "yesterday", "2026-01-14", "2026-01-14T08:00:00"])
def test_only_text_with_a_zone_is_an_instant(value: object) -> None:
    with pytest.raises(keyset.InvalidCursor):
        keyset.instant(value)
