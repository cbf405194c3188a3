r"""Logs as one JSON object per line on standard output (BR-STORAGE-019).

Four promises. A line says which request it belongs to. A secret is replaced by ``[REDACTED]`` before
it is written, whether it is a field, part of a URL or part of a connection string. No value can start
a line of its own: whatever a client sends, its line breaks are written as ``\n``. Nothing waits for the
reader of standard output.
"""

from datastorage.platform.logs.context import RequestContext, correlate, request_context
from datastorage.platform.logs.destination import (
    GunicornLogger,
    LoggingSettings,
    configure_logging,
    line_writers,
    log_lean,
)
from datastorage.platform.logs.redaction import REDACTED, redact, redact_text

__all__ = [
    "REDACTED",
    "GunicornLogger",
    "LoggingSettings",
    "RequestContext",
    "configure_logging",
    "correlate",
    "line_writers",
    "log_lean",
    "redact",
    "redact_text",
    "request_context",
]
