"""Streaming incidents as lines. The last line is a record that tells whether the stream is complete."""

from datastorage.incidents.blueprints import FILTER_PROBLEMS, INCIDENTS
from datastorage.incidents.reading.export import IncidentExport
from datastorage.incidents.reading.model import ExportRequest
from datastorage.incidents.reading.parameters import IncidentExportQuery
from datastorage.incidents.reading.service import IncidentService
from datastorage.incidents.representations import LISTED
from datastorage.platform.access.permissions import Permission
from datastorage.platform.web.current import current
from datastorage.platform.web.lines import NDJSON, Lines
from datastorage.platform.web.operations import Answer, operation

EXPORT_PATH = f"{INCIDENTS.url_prefix}/export"


@INCIDENTS.get("/export")
@operation(
    Permission.EXPORT,
    query=IncidentExportQuery,
    answers=(
        Answer(
            IncidentExport,
            200,
            LISTED,
            "One incident per line, then a record with the single key `_end` or `_error`.",
            media_type=NDJSON,
            body=lambda export: Lines(export, EXPORT_PATH),
            stream=True,
        ),
    ),
    problems=(*FILTER_PROBLEMS, "too-many-exports"),
)
def export_incidents(wanted: ExportRequest) -> IncidentExport:
    """Stream incidents, newest first.

    The last line is `{"_end": {"rows": 12, "complete": true, "next_cursor": null}}`. It is not complete when
    `max_rows` is reached, the export takes too long or the service shuts down; `next_cursor` then goes on. A
    stream that ends with neither `_end` nor `_error` was cut off.
    """
    return current(IncidentService).export(wanted)
