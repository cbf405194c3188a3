"""Streaming incidents as lines. The last line is a record that tells whether the stream is complete."""

from collections.abc import Iterator
from typing import Any

from datastorage.errors import DatabaseError
from datastorage.incidents.blueprints import FILTER_PROBLEMS, INCIDENTS
from datastorage.incidents.reading.export import IncidentExport
from datastorage.incidents.reading.model import ExportRequest
from datastorage.incidents.reading.parameters import IncidentExportQuery
from datastorage.incidents.reading.service import IncidentService
from datastorage.incidents.representations import LISTED
from datastorage.platform.access.permissions import Permission
from datastorage.platform.logs import request_context
from datastorage.platform.web import json, problems
from datastorage.platform.web.current import current
from datastorage.platform.web.operations import Answer, operation

NDJSON = "application/x-ndjson"
EXPORT_PATH = f"{INCIDENTS.url_prefix}/export"


class Lines:
    """The body of an export.

    A class and not a generator: a body that nobody began to read, of a HEAD request for example, is closed
    as well, and the finally of a generator that never started does not run.
    """

    def __init__(self, export: IncidentExport) -> None:
        self._export = export
        self._request_id = request_context.get().request_id or ""

    def __iter__(self) -> Iterator[bytes]:
        """Yield a page of lines at a time, then the control record."""
        try:
            for page in self._export.pages():
                if page:
                    yield "\n".join([*page, ""]).encode("utf-8")
        except DatabaseError as error:
            # The status line is long gone: the record is the only way left to tell.
            yield json.encode({"_error": self._problem(error)}) + b"\n"
        else:
            yield json.encode({"_end": _end(self._export)}) + b"\n"

    def _problem(self, error: DatabaseError) -> dict[str, Any]:
        end = self._export.end
        problem = problems.document(
            error.slug, error.detail, instance=EXPORT_PATH, request_id=self._request_id
        )
        return problem | {"rows": end.rows, "next_cursor": end.next_cursor}

    def close(self) -> None:
        """Make room for another export."""
        self._export.close()


def _end(export: IncidentExport) -> dict[str, Any]:
    end = export.end
    members: dict[str, Any] = {
        "rows": end.rows,
        "complete": end.next_cursor is None,
        "next_cursor": end.next_cursor,
    }
    return members | ({"reason": end.reason} if end.reason else {})


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
            body=Lines,
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
