"""Reading audit events: by correlation id, long lists and exports, beside the SQL of the same rows."""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode

import click
from sqlalchemy import cast, func, select
from sqlalchemy.dialects.postgresql import TEXT

from bench.audit_rows import EVENTS
from bench.figures import Figure, Goal, Round, figure
from bench.load import CopyTarget, HttpTarget, Load, Request, SqlTarget, Statement
from bench.processors import forget_peaks, peak_bytes, resident_bytes
from bench.rounds import (
    CLIENTS,
    Effort,
    Measure,
    Pair,
    by_turns,
    compare,
    driving,
    failures,
    latencies,
    rates,
)
from bench.stand import Stand, literal_sql, statement
from bench.wire import WireTarget
from datastorage.audit import queries
from datastorage.audit.model import AuditFilter
from datastorage.platform.db.conditions import equals
from datastorage.tables import audit_events

LOOK_UPS = 1_000
LIST_ROWS = 1_000
EXPORT_ROWS = 100_000
PAGE_ROWS = 50
MEBIBYTE = 1 << 20

_DOCUMENTS = {"event_data", "event_metadata"}
# Documents as text: psycopg would parse them, which the service never does.
_COLUMNS = [cast(each, TEXT).label(each.name) if each.name in _DOCUMENTS else each for each in audit_events.c]


def by_correlation(stand: Stand, effort: Effort) -> list[Figure]:
    """One remediation's events beside count and page by psycopg plus a Flask view that does nothing."""
    name = f"events by correlation id, {CLIENTS} clients"
    wanted = [
        AuditFilter(conditions=(equals(audit_events.c.correlation_id, f"rr-{n}"),))
        for n in range(1, LOOK_UPS)
    ]
    selects = [[statement(queries.count(each)), _rows(each, PAGE_ROWS + 1)] for each in wanted]
    asked = driving(stand, look_ups(stand.service_url), CLIENTS)
    sql = driving(stand, SqlTarget(stand.app_url, selects), CLIENTS)
    empty = driving(stand, stand.stock.empty(), CLIENTS, service_pid=stand.stock.pid)

    def both(seconds: float) -> Load:
        return _one_after_the_other(sql(seconds), empty(seconds))

    pairs = by_turns(name, effort, asked, both)
    return latencies(name, pairs, {50: Goal(1.3, of="ratio"), 99: None})


def look_ups(url: str) -> WireTarget:
    """Look-ups of a thousand correlation ids."""
    asked = [urlencode({"correlation_id": f"rr-{n}", "limit": PAGE_ROWS}) for n in range(1, LOOK_UPS)]
    return WireTarget(url, [Request("GET", f"{EVENTS}?{each}") for each in asked])


def _one_after_the_other(first: Load, second: Load) -> Load:
    """Return what a request would take that does both: the latencies of equal rank added."""
    ranks = range(1, 100)
    return replace(
        first,
        latencies_ms=[first.percentile(rank) + second.percentile(rank) for rank in ranks],
        failed=first.failed + second.failed,
    )


def _rows(wanted: AuditFilter, limit: int) -> Statement:
    """Return the select of the same events as plain columns."""
    return statement(queries.ordered(select(*_COLUMNS), wanted).limit(limit))


def long_list(stand: Stand, effort: Effort) -> list[Figure]:
    """A thousand events beside the same count and rows fetched by psycopg."""
    name = f"list of {LIST_ROWS:,} events"
    wanted = AuditFilter()
    selects = [statement(queries.count(wanted)), _rows(wanted, LIST_ROWS + 1)]
    sides = long_lists(stand.service_url), SqlTarget(stand.app_url, [selects])
    pairs = compare(name, stand, effort, sides, clients=1)
    return latencies(name, pairs, {50: Goal(1.2, of="ratio")})


def long_lists(url: str) -> WireTarget:
    """The longest page of all events, counted."""
    return WireTarget(url, [Request("GET", f"{EVENTS}?{urlencode({'limit': LIST_ROWS})}")])


def export(stand: Stand, effort: Effort) -> list[Figure]:
    """All events as lines beside COPY of the same as JSON."""
    name = f"export of {EXPORT_ROWS:,} events"
    asked = urlencode({"limit": EXPORT_ROWS, "format": "ndjson"})
    target = HttpTarget(stand.service_url, [Request("GET", f"{EVENTS}?{asked}")])
    rows = queries.ordered(select(audit_events), AuditFilter()).limit(EXPORT_ROWS).subquery("r")
    copied = literal_sql(select(func.row_to_json(rows.table_valued())))
    copy = CopyTarget(stand.app_url, [f"COPY ({copied}) TO STDOUT"])
    grown: list[float] = []
    measured = _watching_memory(driving(stand, target, 1), stand, grown)
    pairs = by_turns(name, effort, measured, driving(stand, copy, 1))
    goal = Goal(0.5, of="ratio", is_least=True)
    return [
        figure(name, "rows/s", rates(pairs, factor=EXPORT_ROWS), goal=goal, failed=failures(pairs)),
        _memory(f"{name}, memory", grown, pairs),
    ]


def _watching_memory(measure: Measure, stand: Stand, grown: list[float]) -> Measure:
    def measured(seconds: float) -> Load:
        before = resident_bytes(stand.service_pid)
        forget_peaks(stand.service_pid)
        load = measure(seconds)
        peaks = peak_bytes(stand.service_pid)
        grown.append(max(peaks[pid] - used for pid, used in before.items()) / MEBIBYTE)
        return load

    return measured


def _memory(name: str, grown: Sequence[float], pairs: Sequence[Pair]) -> Figure:
    """Return by how much the worker's peak was above what it used before."""
    line = figure(name, "MiB", [Round(max(*grown, 0.01), 32)], goal=Goal(32), failed=failures(pairs))
    click.echo(f"    {line.name}: {line.value:g} MiB")
    return line
