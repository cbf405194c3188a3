from datetime import UTC, datetime

import pytest

from datastorage.audit.look_ups import plain_look_up
from datastorage.audit.query_schema import AuditQuerySchema

NOW = datetime(2026, 1, 14, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    "parameters",
    [
        {"correlation_id": "rr-1"},
        {"correlation_id": " Ä ", "limit": "1"},
        {"limit": "+1000", "correlation_id": "rr-1"},
        {"correlation_id": "rr-1", "limit": "007"},
    ],
)
def test_plain_look_up_is_what_the_schema_makes_of_it(parameters: dict[str, str]) -> None:
    assert plain_look_up(parameters) == AuditQuerySchema(lambda: NOW).read(parameters)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"limit": "5"},
        {"correlation_id": ""},
        {"correlation_id": "rr-1", "limit": ""},
        {"correlation_id": "rr-1", "limit": "0"},
        {"correlation_id": "rr-1", "limit": "1001"},
        {"correlation_id": "rr-1", "limit": "1_0"},
        {"correlation_id": "rr-1", "order": "asc"},
        {"correlation_id": "rr-1", "event_data.pod": "x"},
    ],
)
def test_whatever_is_no_plain_look_up_is_left_to_the_schema(parameters: dict[str, str]) -> None:
    assert plain_look_up(parameters) is None
