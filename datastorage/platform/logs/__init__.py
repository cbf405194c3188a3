r"""Logs as one JSON object per line on standard output (BR-STORAGE-019).

Three promises. A line says which request it belongs to. A secret is replaced by ``[REDACTED]`` before
it is written, whether it is a field, part of a URL or part of a connection string. No value can start
a line of its own: whatever a client sends, its line breaks are written as ``\n``.
"""

from datastorage.platform.logs.context import (
    RequestContext,
    belongs_to_request,
    correlate,
    request_context,
)
from datastorage.platform.logs.destination import (
    GunicornLogger,
    LoggingSettings,
    configure_logging,
    log_lean,
    write_waiting_lines,
)
from datastorage.platform.logs.redaction import REDACTED, redact, redact_text

__all__ = [
    "REDACTED",
    "GunicornLogger",
    "LoggingSettings",
    "RequestContext",
    "belongs_to_request",
    "configure_logging",
    "correlate",
    "log_lean",
    "redact",
    "redact_text",
    "request_context",
    "write_waiting_lines",
]
