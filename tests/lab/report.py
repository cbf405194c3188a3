"""The table of a run: printed at its end, and kept as JSON."""

import json
from dataclasses import asdict
from pathlib import Path

from tests.lab.ledger import Verdict

COLUMNS = {
    "fault": "fault",
    "requests": "requests",
    "answered_201": "201",
    "answered_202": "202",
    "answered_503": "503",
    "no_answer": "no answer",
    "lost": "lost",
    "duplicated": "duplicated",
    "refused_but_stored": "503 but stored",
    "given_up": "given up",
}


class Report:
    """Rows of one run; the file has all of them so far, whatever happens next."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[dict[str, object]] = []

    def add(self, name: str, verdict: Verdict, reasons: set[str]) -> None:
        """Append one row."""
        self._rows.append({"fault": name, **asdict(verdict), "reasons": sorted(reasons)})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._rows, indent=2), encoding="utf-8")

    def table(self) -> str:
        """Return the rows as Markdown."""
        head = tuple(COLUMNS.values())
        rows = [tuple(str(row[key]) for key in COLUMNS) for row in self._rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in (head, ("---",) * len(head), *rows))
