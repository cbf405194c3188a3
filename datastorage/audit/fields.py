"""Fields of audit events that need what is known only when the service starts."""

from datetime import datetime, timedelta
from typing import Any

from datastorage.platform.clock import Clock
from datastorage.platform.web import fields


class EventInstant(fields.Instant):
    """A timestamp within the accepted window around the server's clock, both ends inclusive."""

    clock: Clock
    oldest: timedelta | None = None
    ahead: timedelta | None = None

    def judge(self, value: Any) -> datetime:
        """Refuse what lies outside the window; a bound of ``None`` is not checked."""
        at = super().judge(value)
        now = self.clock()
        if self.ahead is not None and at > now + self.ahead:
            message = f"timestamp is in the future (server time: {_rfc3339(now)}, event time: {_rfc3339(at)})"
            raise fields.refuse(message, "timestamp_future")
        if self.oldest is not None and at < now - self.oldest:
            days = f"{self.oldest / timedelta(days=1):g}"
            message = f"timestamp is too old (must be within {days} days, age: {now - at})"
            raise fields.refuse(message, "timestamp_too_old")
        return at


def _rfc3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
