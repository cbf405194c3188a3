"""Records as lines of JSON, and a last line that tells whether they are all (incidents.md 5, ledger.md 5.4).

A stream that ends without this line was cut off. Its single key is `_end`, or `_error` after a fault.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from datastorage.errors import DatabaseError
from datastorage.platform.logs import request_context
from datastorage.platform.web import json, problems

NDJSON: Final = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class ExportEnd:
    """Where an export stopped.

    Attributes:
        rows: how many it has sent.
        place: the member that says where another one goes on.
        reason: why there are no more; ``None`` when nothing was left.
    """

    rows: int
    place: Mapping[str, str | int | None] = field(default_factory=dict)
    reason: str | None = None

    @property
    def members(self) -> dict[str, Any]:
        """The members of the last line."""
        members = {"rows": self.rows, "complete": self.reason is None, **self.place}
        return members if self.reason is None else members | {"reason": self.reason}


class Export(Protocol):
    """An export under way."""

    def pages(self) -> Iterator[Sequence[str]]:
        """Yield the lines, some at a time.

        Raises:
            DatabaseError: they could not be read.
        """

    @property
    def end(self) -> ExportEnd:
        """Where it stands now."""

    def close(self) -> None:
        """Make room for another export; safe to call again."""

    @property
    def tells_end(self) -> bool:
        """Whether it has the last line: older clients of some take every line for a record."""


class Lines:
    """The body of an export.

    A class and not a generator: a body that nobody began to read, of a HEAD request for example, is closed
    as well, and the finally of a generator that never started does not run.

    Args:
        export: whose lines they are.
        path: which was asked for them.
    """

    def __init__(self, export: Export, path: str) -> None:
        self._export = export
        self._path = path
        self._request_id = request_context.get().request_id or ""

    def __iter__(self) -> Iterator[bytes]:
        """Yield a page of lines at a time, then the control record."""
        try:
            for page in self._export.pages():
                if page:
                    yield "\n".join([*page, ""]).encode("utf-8")
        except DatabaseError as error:
            if not self._export.tells_end:
                raise
            # The status line is long gone: the record is the only way left to tell.
            yield json.encode({"_error": self._problem(error)}) + b"\n"
        else:
            if self._export.tells_end:
                yield json.encode({"_end": self._export.end.members}) + b"\n"

    def _problem(self, error: DatabaseError) -> dict[str, Any]:
        end = self._export.end
        problem = problems.document(
            error.slug, error.detail, instance=self._path, request_id=self._request_id
        )
        return problem | {"rows": end.rows, **end.place}

    def close(self) -> None:
        """Make room for another export."""
        self._export.close()
