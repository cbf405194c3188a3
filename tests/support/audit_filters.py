"""Filters of audit events, made as requests make them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from datastorage.audit.model import AuditFilter
from datastorage.audit.parameters import AuditSearch
from datastorage.platform.db.keyset import Position
from datastorage.platform.web.sent import Sent

_READER = AuditSearch(lambda: datetime(2026, 1, 14, 12, tzinfo=UTC))


def events(
    *, after: Position[UUID] | None = None, ascending: bool = False, at: Any = (), **texts: str | datetime
) -> AuditFilter:
    """Return the filter of a request with these parameters; ``at`` maps paths inside the payload to texts."""
    sent = {name: text if isinstance(text, str) else text.isoformat() for name, text in texts.items()}
    sent |= {f"event_data.{path}": text for path, text in dict(at).items()}
    return replace(_READER.read(Sent(sent)).filter, after=after, ascending=ascending)
