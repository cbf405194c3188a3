import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from datastorage.incidents.reading.cursor import cursor_after, fingerprint, position_of
from datastorage.platform.db.keyset import InvalidCursor

ROW = '{"id":4711,"action_id":"a","action_timestamp":"2026-11-20T10:15:00.000250Z","other":[1,{"id":2}]}'
H = fingerprint({"namespace": "production"})


def text_of(**members: Any) -> str:
    encoded = json.dumps({"v": 1, "t": "2026-11-20T10:15:00Z", "id": 1, "h": H} | members)
    return base64.urlsafe_b64encode(encoded.encode()).rstrip(b"=").decode()


def test_cursor_leads_back_to_the_last_row() -> None:
    position = position_of(cursor_after(ROW, H), H)

    assert position.id == 4711
    assert position.at == datetime(2026, 11, 20, 10, 15, 0, 250, tzinfo=UTC)


def test_cursor_is_short_and_safe_in_a_query() -> None:
    cursor = cursor_after(ROW, H)

    assert len(cursor) < 200
    assert cursor.replace("-", "").replace("_", "").isalnum()


def test_fingerprint_depends_on_names_and_values_and_not_on_their_order() -> None:
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"a": "1&b=2"}) != fingerprint({"a": "1", "b": "2"})
    assert fingerprint({"a": "1"}) != fingerprint({"b": "1"})
    assert len(fingerprint({})) == 16


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "not-a-cursor", "e30", "bnVsbA", "W10", "€", "A" * 513, "=", "e30=",
        text_of(v=2), text_of(v="1"), text_of(h="0" * 16), text_of(h=None), text_of(id="1"),
        text_of(id=True),
        text_of(id=1.5), text_of(id=0), text_of(id=-1), text_of(id=2**63), text_of(t=1),
        text_of(t="yesterday"),
        text_of(t="2026-11-20T10:15:00"), text_of(t=None),
    ],
)  # fmt: skip
def test_other_text_is_no_cursor(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        position_of(cursor, H)
