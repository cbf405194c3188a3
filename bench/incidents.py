"""Reading incidents: lists, exports and deep pages of a table with a year of them."""

from datetime import timedelta
from urllib.parse import urlencode

import click
import psycopg

from bench.figures import Figure, Goal, figure
from bench.load import CopyTarget, HttpTarget, Request, SqlTarget, Statement
from bench.rounds import Effort, compare, failures, latencies, rates
from bench.stand import Stand, literal_sql, statement
from datastorage.incidents.reading import queries
from datastorage.incidents.reading.cursor import cursor_after, fingerprint
from datastorage.incidents.reading.model import IncidentFilter
from datastorage.incidents.reading.parameters import MAX_PAGE_ROWS
from datastorage.incidents.representations import View
from datastorage.platform.db.conditions import equals
from datastorage.tables import resource_action_traces

INCIDENTS = "/api/v1/incidents"
YEAR = timedelta(days=365)
RESOURCES = 500
PAGE_ROWS = 100
EXPORT_ROWS = 10_000
DEPTH = 100_000
NAMESPACES = 50

Asked = list[tuple[IncidentFilter, dict[str, str]]]
"""Filters, and the query parameters that say the same."""

LIST_GOALS = {50: None, 95: Goal(250), 99: Goal(500)}

_RESOURCES = """
    INSERT INTO resource_references (resource_uid, api_version, kind, name, namespace, cluster_name)
    SELECT gen_random_uuid()::text, 'apps/v1', 'Deployment', 'app-' || n, 'team-' || mod(n, 50),
           'cluster-' || mod(n, 4)
    FROM generate_series(0, %(resources)s::int - 1) AS n
"""
_HISTORIES = "INSERT INTO action_histories (id, resource_id) SELECT id, id FROM resource_references"
_PARTITIONS = """
    SELECT ensure_month_partition('resource_action_traces', month::date)
    FROM generate_series(date_trunc('month', now() - %(year)s), now(), '1 month') AS month
"""
# The oldest first, as they would have come. Texts and documents are of the length that agents write.
_TRACES = """
    INSERT INTO resource_action_traces (
        action_history_id, action_id, correlation_id, action_timestamp, execution_start_time,
        execution_end_time, execution_duration_ms, signal_name, signal_severity, signal_labels, model_used,
        model_confidence, model_reasoning, action_type, action_parameters, execution_status,
        effectiveness_score, incident_type, alert_name, workflow_id, workflow_version, namespace,
        cluster_name, environment, signal_fingerprint, resource_kind, resource_name)
    SELECT mod(n, %(resources)s) + 1, 'act-' || n, 'rr-' || n / 3, at, at + '1 s', at + '31 s', 30000,
           'Signal' || mod(n, 30),
           (ARRAY['critical', 'high', 'medium', 'low', 'warning', 'info'])[mod(n, 6) + 1],
           jsonb_build_object('alertname', 'Signal' || mod(n, 30), 'pod', md5(n::text), 'team', mod(n, 50)),
           'model-a', mod(n, 1000) / 1000.0, repeat('the container was killed for its memory; ', 5),
           'action-' || mod(n, 12), jsonb_build_object('replicas', mod(n, 9), 'reason', md5(n::text)),
           (ARRAY['completed', 'completed', 'completed', 'failed', 'pending'])[mod(n, 5) + 1], 0.875,
           'type-' || mod(n, 40), CASE WHEN mod(n, 2) = 0 THEN 'Alert' || mod(n, 30) END,
           'workflow-' || mod(n, 60), 'v1.' || mod(n, 4), 'team-' || mod(mod(n, %(resources)s), 50),
           'cluster-' || mod(mod(n, %(resources)s), 4),
           (ARRAY['production', 'staging', 'development'])[mod(n, 3) + 1], md5(mod(n, 900)::text),
           'Deployment', 'app-' || mod(n, %(resources)s)
    FROM generate_series(%(from)s::int, %(to)s::int) AS n,
         LATERAL (SELECT now() - %(year)s * (%(rows)s::int - n) / %(rows)s::int) AS ages (at)
"""


def fill(url: str, rows: int) -> None:
    """Load so many incidents, evenly over the last twelve months."""
    parameters = {"year": YEAR, "rows": rows, "resources": RESOURCES}
    steps = [(rows * step // 20 + 1, rows * (step + 1) // 20) for step in range(20)]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_RESOURCES, parameters)
        connection.execute(_HISTORIES)
        connection.execute(_PARTITIONS, parameters)
        with click.progressbar(steps, label=f"load {rows:,} incidents".ljust(42)) as progress:
            for first, last in progress:
                connection.execute(_TRACES, parameters | {"from": first, "to": last})


def measure(stand: Stand, effort: Effort) -> list[Figure]:
    """Run every scenario."""
    return [*_lists(stand, effort), *_export(stand, effort), *_deep_page(stand, effort)]


def _lists(stand: Stand, effort: Effort) -> list[Figure]:
    everything: Asked = [(IncidentFilter(), {})]
    uncounted: Asked = [(IncidentFilter(), {"count": "none"})]
    # Each its own: clients that ask for the same share a transaction, and here they cannot.
    namespaces: Asked = [
        (IncidentFilter((equals(resource_action_traces.c.namespace, name),)), {"namespace": name})
        for name in (f"team-{number}" for number in range(NAMESPACES))
    ]
    return [
        *_list(stand, effort, "incidents, all", everything),
        *_list(stand, effort, "incidents, all, count=none", uncounted),
        *_list(stand, effort, "incidents of one namespace each", namespaces),
        *_largest_page(stand, effort),
    ]


def _largest_page(stand: Stand, effort: Effort) -> list[Figure]:
    name = f"page of {MAX_PAGE_ROWS:,} incidents, counted"
    request = Request("GET", _path("", limit=MAX_PAGE_ROWS))
    statements = [_page(IncidentFilter(), MAX_PAGE_ROWS + 1), statement(queries.count(IncidentFilter()))]
    sides = HttpTarget(stand.service_url, [request]), SqlTarget(stand.app_url, [statements])
    pairs = compare(name, stand, effort, sides, clients=1)
    return latencies(name, pairs, {50: Goal(500), 99: Goal(1000)})


def _list(stand: Stand, effort: Effort, name: str, asked: Asked) -> list[Figure]:
    requests = [Request("GET", _path("", limit=PAGE_ROWS, **sent)) for _, sent in asked]
    transactions = [_statements(wanted, sent) for wanted, sent in asked]
    sides = HttpTarget(stand.service_url, requests), SqlTarget(stand.app_url, transactions)
    return latencies(name, compare(name, stand, effort, sides), LIST_GOALS)


def _statements(wanted: IncidentFilter, sent: dict[str, str]) -> list[Statement]:
    page = _page(wanted, PAGE_ROWS + 1)
    return [page] if sent.get("count") == "none" else [page, statement(queries.count(wanted))]


def _page(wanted: IncidentFilter, limit: int) -> Statement:
    return statement(queries.page(wanted, view=View.SUMMARY, limit=limit))


def _path(action: str, **parameters: object) -> str:
    return f"{INCIDENTS}{action}?{urlencode(parameters)}"


def _export(stand: Stand, effort: Effort) -> list[Figure]:
    name = f"export of {EXPORT_ROWS:,} incidents"
    request = Request("GET", _path("/export", max_rows=EXPORT_ROWS))
    selected = literal_sql(queries.page(IncidentFilter(), view=View.SUMMARY, limit=EXPORT_ROWS))
    copy = CopyTarget(stand.app_url, [f"COPY ({selected}) TO STDOUT"])
    pairs = compare(name, stand, effort, (HttpTarget(stand.service_url, [request]), copy), clients=1)
    speed = rates(pairs, factor=EXPORT_ROWS)
    return [
        *latencies(name, pairs, {50: Goal(1000)}),
        figure(f"{name}, speed", "rows/s", speed, failed=failures(pairs)),
    ]


def _deep_page(stand: Stand, effort: Effort) -> list[Figure]:
    name = f"page behind {DEPTH:,} incidents, by cursor"
    deep = Request("GET", _path("", limit=PAGE_ROWS, count="none", cursor=_cursor(stand)))
    first = Request("GET", _path("", limit=PAGE_ROWS, count="none"))
    sides = HttpTarget(stand.service_url, [deep]), HttpTarget(stand.service_url, [first])
    pairs = compare(name, stand, effort, sides, clients=1)
    return latencies(name, pairs, {50: Goal(1.5, of="ratio")})


def _cursor(stand: Stand) -> str:
    key = statement(queries.key_of_row(IncidentFilter(), DEPTH))
    with psycopg.connect(stand.app_url) as connection:
        found = connection.execute(key.sql.encode(), key.parameters).fetchone()
        assert found is not None, "the table has fewer rows than that"
        last = statement(queries.one_of_month().params(action_timestamp=found[0], incident_id=found[1]))
        row = connection.execute(last.sql.encode(), last.parameters).fetchone()
    assert row is not None
    return cursor_after(row[0], fingerprint({}))
