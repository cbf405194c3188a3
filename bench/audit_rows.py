"""Audit events as the scenarios need them: in the table, as request bodies, and as SQL."""

import json
from datetime import datetime

import click
import psycopg

from bench.load import Request
from datastorage.platform.clock import utc_now

EVENTS = "/api/v1/audit/events"
BATCH = "/api/v1/audit/events/batch"
EVENTS_OF_ONE = 10
"""Events that share a correlation id."""
BODIES = 2_000
BATCH_EVENTS = 500
MONTHS_AHEAD = 3

_COLUMNS = """event_id, event_version, event_timestamp, event_date, event_type, event_category, event_action,
    event_outcome, actor_type, actor_id, resource_type, resource_id, correlation_id, namespace, cluster_name,
    event_data, severity, duration_ms, retention_days, is_sensitive"""

_PARTITIONS = """
    SELECT ensure_month_partition('audit_events', month::date)
    FROM generate_series(date_trunc('month', now()) - make_interval(months => %(back)s),
                         date_trunc('month', now()), '1 month') AS month
"""
# The oldest first, as they would have come.
_EVENTS = f"""
    INSERT INTO audit_events ({_COLUMNS})
    SELECT uuidv7(at - now()), '1.0', at, (at AT TIME ZONE 'UTC')::date, 'gateway.signal.type-' || mod(n, 12),
           'gateway', 'received', (ARRAY['success', 'success', 'failure'])[mod(n, 3) + 1], 'service',
           'gateway-service', 'pod', 'pod-' || mod(n, 900), 'rr-' || n / %(share)s, 'team-' || mod(n, 50),
           'cluster-' || mod(n, 4),
           jsonb_build_object('alert_name', 'Signal' || mod(n, 30), 'pod', md5(n::text),
                              'replicas', mod(n, 9), 'is_duplicate', mod(n, 2) = 0, 'labels',
                              jsonb_build_object('team', 'team-' || mod(n, 50), 'tier', 'backend')),
           'info', 120, 2555, false
    FROM generate_series(%(from)s::int, %(to)s::int) AS n,
         LATERAL (SELECT now() - (now() - date_trunc('month', now()) + make_interval(months => %(back)s))
                         * (%(rows)s::int - n) / %(rows)s::int) AS ages (at)
"""  # noqa: S608 - a constant of our own

# What the service stores of one body, each time under another id.
INSERT_ONE = f"""\\set n random(0, 1999)
INSERT INTO audit_events ({_COLUMNS})
VALUES (uuidv7(), '1.0', now(), (now() AT TIME ZONE 'UTC')::date, 'gateway.signal.received',
        'gateway', 'received', 'success', 'service', 'gateway-service', 'pod', 'pod-7',
        'rr-bench-' || :n::int, 'team-7', 'cluster-1',
        jsonb_build_object('alert_name', 'EtcdHighCommitLatency', 'pod', 'pod-' || :n::int,
        'replicas', 3, 'is_duplicate', false,
        'labels', jsonb_build_object('team', 'team-7', 'tier', 'backend')),
        'info', 120, 2555, false);
"""  # noqa: S608 - a constant of our own
COPY_IN = f"COPY audit_events ({_COLUMNS}) FROM STDIN"
"""Takes what ``copied_rows`` returns, behind an id."""


def fill(url: str, rows: int, partitions: int) -> None:
    """Load so many events into all the partitions that are not in the future, and make those first."""
    parameters = {"rows": rows, "share": EVENTS_OF_ONE, "back": partitions - MONTHS_AHEAD - 1}
    steps = [(rows * step // 20 + 1, rows * (step + 1) // 20) for step in range(20)]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_PARTITIONS, parameters)
        with click.progressbar(steps, label=f"load {rows:,} events".ljust(42)) as progress:
            for first, last in progress:
                connection.execute(_EVENTS, parameters | {"from": first, "to": last})


def event(number: int, at: datetime) -> dict[str, object]:
    """Return the members of a request."""
    return {
        "version": "1.0",
        "event_type": "gateway.signal.received",
        "event_timestamp": at.isoformat().replace("+00:00", "Z"),
        "event_category": "gateway",
        "event_action": "received",
        "event_outcome": "success",
        "actor_type": "service",
        "actor_id": "gateway-service",
        "resource_type": "pod",
        "resource_id": "pod-7",
        "correlation_id": f"rr-bench-{number}",
        "namespace": "team-7",
        "cluster_name": "cluster-1",
        "event_data": payload(number),
        "severity": "info",
        "duration_ms": 120,
    }


def payload(number: int) -> dict[str, object]:
    """Return the payload of an event."""
    return {
        "alert_name": "EtcdHighCommitLatency",
        "pod": f"pod-{number}",
        "replicas": 3,
        "is_duplicate": False,
        "labels": {"team": "team-7", "tier": "backend"},
    }


def bodies() -> list[bytes]:
    """Return bodies of single writes."""
    at = utc_now()
    return [json.dumps(event(number, at)).encode() for number in range(BODIES)]


def batches() -> list[Request]:
    """Return batch writes."""
    at = utc_now()
    events = [[event(start + n, at) for n in range(BATCH_EVENTS)] for start in range(0, BODIES, BATCH_EVENTS)]
    return [Request("POST", BATCH, json.dumps(each).encode()) for each in events]


def copied_rows() -> list[list[str]]:
    """Return the rows of ``batches`` in the text format of COPY, without their ids."""
    at = utc_now()
    rows = [_copied(number, at) for number in range(BODIES)]
    return [rows[start : start + BATCH_EVENTS] for start in range(0, BODIES, BATCH_EVENTS)]


def _copied(number: int, at: datetime) -> str:
    columns = event(number, at)
    order = (
        "version", "event_timestamp", at.date().isoformat(), "event_type", "event_category", "event_action",
        "event_outcome", "actor_type", "actor_id", "resource_type", "resource_id", "correlation_id",
        "namespace", "cluster_name",
    )  # fmt: skip
    values = [str(columns.get(name, name)) for name in order]
    return "\t".join([*values, json.dumps(columns["event_data"]), "info", "120", "2555", "false"])
