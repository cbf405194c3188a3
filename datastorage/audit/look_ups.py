"""The simplest query: the events of one correlation id."""

from datastorage.audit.model import AuditFilter, PageRequest
from datastorage.audit.query_schema import DEFAULT_PAGE_ROWS, MAX_PAGE_ROWS
from datastorage.platform.web.literals import strict_integer

_DEFAULT_LIMIT = str(DEFAULT_PAGE_ROWS)
_PARAMETERS = frozenset({"correlation_id", "limit"})


def plain_look_up(parameters: dict[str, str]) -> PageRequest | None:
    """Return what is wanted; ``None`` if anything else is asked for, or something is wrong.

    ``AuditQuerySchema`` makes the same of it in ten times the time, because it looks for each of its
    fields. It has the rest, and the words for faults.
    """
    correlation_id = parameters.get("correlation_id")
    if not correlation_id or not parameters.keys() <= _PARAMETERS:
        return None
    limit = strict_integer(parameters.get("limit", _DEFAULT_LIMIT))
    if limit is None or not 1 <= limit <= MAX_PAGE_ROWS:
        return None
    return PageRequest(filter=AuditFilter(equals={"correlation_id": correlation_id}), limit=limit)
