"""Filters of incidents, made as requests make them."""

from datetime import UTC, datetime, timedelta

from datastorage.incidents.aggregates.model import RateRequest
from datastorage.incidents.aggregates.parameters import MultiDimensionalRateQuery
from datastorage.incidents.reading.model import IncidentFilter
from datastorage.incidents.reading.parameters import IncidentQuery
from datastorage.platform.web.sent import Sent

_LISTS = IncidentQuery(lambda: datetime(2026, 1, 14, 12, tzinfo=UTC))
_RATES = MultiDimensionalRateQuery()


def incidents(**texts: str | datetime) -> IncidentFilter:
    """Return the filter of a request with these parameters."""
    sent = {name: text if isinstance(text, str) else text.isoformat() for name, text in texts.items()}
    return _LISTS.read(Sent(sent)).filter


def executions(**dimensions: str) -> RateRequest:
    """Return the request for the success rate of a week with these dimensions."""
    request = _RATES.read(Sent(dimensions))
    assert request.window == timedelta(days=7)
    return request
