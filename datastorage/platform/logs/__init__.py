r"""Logs as one JSON object per line on standard output (BR-STORAGE-019).

Four promises. A line says which request it belongs to. A secret is replaced by ``[REDACTED]`` before it is
written, whether it is a field, part of a URL or part of a connection string. No value can start a line of its
own: whatever a client sends, its line breaks are written as ``\n``. Nothing waits for the reader of standard
output.
"""

from datastorage.platform.logs.destination import (
    GunicornLogger,
    configure_logging,
    line_writers,
    log_lean,
)
from datastorage.platform.logs.lines import RequestContext, request_context
from datastorage.platform.logs.redaction import redact

__all__ = [
    "GunicornLogger",
    "RequestContext",
    "configure_logging",
    "line_writers",
    "log_lean",
    "redact",
    "request_context",
]
