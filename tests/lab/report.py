"""The table of a run: printed at its end, and kept as Markdown and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.lab.attacks import Beside
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
    "result": "result",
}

ATTACK_COLUMNS = {
    "fault": "hostile clients",
    "requests": "requests",
    "answered_201": "201",
    "answered_202": "202",
    "answered_503": "503",
    "lost": "lost",
    "duplicated": "duplicated",
    "p99_before_ms": "p99 before, ms",
    "p99_during_ms": "p99 beside them, ms",
    "slowest_probe_seconds": "slowest probe, s",
    "highest_pss_mib": "memory, MiB",
    "result": "result",
}


class Report:
    """Rows of one run; the two files have all of them so far, whatever happens next.

    Args:
        path: of the JSON; the Markdown is beside it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[Mapping[str, object]] = []

    def add(self, name: str, verdict: Verdict, reasons: set[str], broken: str | None) -> None:
        """Append one row; ``broken`` says which promise was."""
        result = "kept" if broken is None else f"BROKEN: {broken}"
        self._append({"fault": name, **asdict(verdict), "reasons": sorted(reasons), "result": result})

    def add_attack(self, name: str, verdict: Verdict, beside: Beside, broken: str | None) -> None:
        """Append the row of hostile clients."""
        result = "kept" if broken is None else f"BROKEN: {broken}"
        self._append({"fault": name, **asdict(verdict), **asdict(beside), "result": result})

    def add_unfinished(self, name: str, complaint: str) -> None:
        """Append a row of which nothing is known but why."""
        self._append(dict.fromkeys(COLUMNS, "-") | {"fault": name, "result": f"UNFINISHED: {complaint}"})

    def _append(self, row: Mapping[str, object]) -> None:
        self._rows.append(row)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._rows, indent=2), encoding="utf-8")
        self._path.with_suffix(".md").write_text(self.table() + "\n", encoding="utf-8")

    def table(self) -> str:
        """Return the rows as Markdown: what broke, and in a table of their own hostile clients."""
        attacks = [row for row in self._rows if "p99_before_ms" in row]
        faults = [row for row in self._rows if row not in attacks]
        tables = [(COLUMNS, faults), (ATTACK_COLUMNS, attacks)]
        return "\n\n".join(_table(columns, rows) for columns, rows in tables if rows)


def _table(columns: Mapping[str, str], rows: Sequence[Mapping[str, object]]) -> str:
    head = tuple(columns.values())
    lines = [tuple(str(row[key]) for key in columns) for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ("---",) * len(head), *lines))
