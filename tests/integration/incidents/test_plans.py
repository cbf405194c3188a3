"""Every filter finds its index, and a bound of time leaves out the months beyond it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Select, text

from datastorage.incidents.aggregates import queries as aggregates
from datastorage.incidents.aggregates.model import LegacyRateRequest
from datastorage.incidents.reading import queries
from datastorage.incidents.representations import View
from datastorage.platform.db.keyset import Position
from tests.support.incident_builders import insert_history
from tests.support.incident_filters import executions, incidents
from tests.support.schema import RoleUrls, engine_for, fresh_database, upgrade

ROWS = 60_000
NOW = datetime.now(UTC)

FILL = """
    INSERT INTO resource_action_traces (action_history_id, action_id, action_timestamp, correlation_id,
        signal_name, signal_severity, model_used, model_confidence, action_type, execution_status, alert_name,
        incident_type, workflow_id, workflow_version, namespace, cluster_name, environment,
        resource_kind, resource_name)
    SELECT :history_id, 'a-' || n, now() - n * interval '10 minutes', 'rr-' || n / 3,
        'signal-' || n % 40,
        (ARRAY['critical', 'high', 'medium', 'low', 'warning', 'info'])[1 + n % 6], 'model-a', 0.9,
        'action-' || n % 30,
        (ARRAY['pending', 'executing', 'in_progress', 'completed', 'failed', 'rolled-back', 'cancelled'])
            [1 + n % 7],
        CASE WHEN n % 10 = 0 THEN 'alert-' || n % 5000 END,
        'type-' || n % 600, CASE WHEN n % 4 > 0 THEN 'workflow-' || n % 800 END, 'v' || n % 3,
        'namespace-' || n % 100, 'cluster-' || n % 20, 'env-' || n % 3, 'Pod', 'pod-' || n
    FROM generate_series(1, :rows) AS n
"""


@pytest.fixture(scope="module")
def urls(postgres_url: str) -> Iterator[RoleUrls]:
    """More than a year of incidents, analysed."""
    with fresh_database(postgres_url) as urls:
        upgrade(urls.owner)
        with engine_for(urls.owner) as engine, engine.connect() as fresh:
            connection = fresh.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text(FILL), {"history_id": insert_history(connection), "rows": ROWS})
            connection.execute(text("VACUUM ANALYZE resource_action_traces"))
        yield urls


@pytest.fixture
def app(urls: RoleUrls) -> Iterator[Connection]:
    with engine_for(urls.app) as engine, engine.connect() as connection:
        yield connection


@dataclass(frozen=True)
class Plan:
    """Which indexes a statement uses, and which partitions it reads in full or at all."""

    indexes: set[str]
    partitions: set[str]
    read_in_full: set[str]


def explain(connection: Connection, statement: Select[Any], options: str = "") -> dict[str, Any]:
    """Return the topmost node of the plan."""
    compiled = statement.compile(connection)
    command = f"EXPLAIN ({options} FORMAT JSON) {compiled}"
    explained: Any = connection.exec_driver_sql(command, compiled.params).scalar_one()
    root: dict[str, Any] = explained[0]["Plan"]
    return root


def plan_of(connection: Connection, statement: Select[Any]) -> Plan:
    root = explain(connection, statement)
    nodes = list(nodes_of(root))
    return Plan(
        indexes={index_of(connection, node["Index Name"]) for node in nodes if "Index Name" in node},
        partitions={node["Relation Name"] for node in nodes if "Relation Name" in node},
        read_in_full={node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"},
    )


def nodes_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from nodes_of(child)


def index_of(connection: Connection, partition_index: str) -> str:
    """Return the index of the parent that the index of a partition belongs to."""
    query = "SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = CAST(:name AS regclass)"
    return str(connection.execute(text(query), {"name": partition_index}).scalar_one())


@pytest.fixture(scope="module")
def filled(urls: RoleUrls) -> set[str]:
    """Names of the partitions that hold many rows.

    An empty one is cheapest to read in full, and so is the current month in its first days.
    """
    query = """
        SELECT relname FROM pg_class
        WHERE relname LIKE 'resource_action_traces_%' AND relkind = 'r' AND reltuples >= :rows
    """
    with engine_for(urls.owner) as engine, engine.connect() as connection:
        return set(connection.execute(text(query), {"rows": ROWS / 50}).scalars())


def list_of(*, after: Position[int] | None = None, **filters: Any) -> Select[Any]:
    return queries.page(incidents(**filters), view=View.SUMMARY, limit=101, after=after)


LISTS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"idx_rat_time_id"}),
    ({"namespace": "namespace-7"}, {"idx_rat_namespace"}),
    ({"signal_name": "signal-7"}, {"idx_rat_signal_name"}),
    ({"alert_name": "alert-10"}, {"idx_alert_name_lookup", "idx_rat_signal_name"}),
    ({"severity": "high"}, {"idx_rat_signal_severity"}),
    ({"cluster": "cluster-7"}, {"idx_rat_cluster"}),
    ({"environment": "env-1"}, {"idx_rat_time_id"}),
    ({"action_type": "action-7"}, {"idx_rat_action_type"}),
    ({"status": "failed"}, {"idx_rat_execution_status"}),
    ({"incident_type": "type-7"}, {"idx_incident_type_success"}),
    ({"workflow_id": "workflow-7"}, {"idx_workflow_success"}),
    ({"correlation_id": "rr-77"}, {"idx_rat_correlation_id"}),
    ({"action_id": "a-77"}, {"uq_resource_action_traces_action_id_action_timestamp"}),
    ({"namespace": "namespace-7", "severity": "high"}, {"idx_rat_namespace"}),
    ({"cluster": "cluster-7", "namespace": "namespace-7"}, {"idx_rat_namespace"}),
    ({"severity": "high", "status": "failed"}, set()),
    ({"environment": "env-1", "severity": "high"}, {"idx_rat_signal_severity"}),
    ({"action_type": "action-7", "status": "completed"}, set()),
    ({"workflow_id": "workflow-7", "status": "failed"}, set()),
]


@pytest.mark.parametrize(("filters", "indexes"), LISTS, ids=lambda value: "+".join(value) or "none")
def test_list_reads_no_month_in_full(
    app: Connection, filled: set[str], filters: dict[str, Any], indexes: set[str]
) -> None:
    plan = plan_of(app, list_of(**filters))

    assert not plan.read_in_full & filled
    assert plan.partitions >= filled
    assert indexes <= plan.indexes


@pytest.mark.parametrize(
    "filters", [filters for filters, _ in LISTS], ids=lambda value: "+".join(value) or "none"
)
def test_list_bounded_in_time_reads_only_the_months_within(
    app: Connection, filled: set[str], filters: dict[str, Any]
) -> None:
    until = NOW - timedelta(days=120)
    since = until - timedelta(days=20)

    plan = plan_of(app, list_of(since=since, until=until, **filters))

    months = {f"resource_action_traces_y{at:%Y}m{at:%m}" for at in (since, until)}
    assert plan.partitions - {"resource_action_traces_default"} == months
    assert not plan.read_in_full & filled


def test_page_after_a_position_leaves_out_newer_months(app: Connection, filled: set[str]) -> None:
    at = NOW - timedelta(days=200)

    plan = plan_of(app, list_of(after=Position(at, 1)))

    newest = max(name for name in plan.partitions if re.fullmatch(r".*_y\d{4}m\d{2}", name))
    assert newest == f"resource_action_traces_y{at:%Y}m{at:%m}"
    assert plan.indexes == {"idx_rat_time_id"}
    assert not plan.read_in_full & filled


@pytest.mark.parametrize("after", [None, Position(NOW - timedelta(days=300), 1)])
@pytest.mark.parametrize("filters", [{}, {"severity": "high"}, {"status": "failed"}])
def test_page_comes_out_of_the_index_in_order(
    app: Connection, filled: set[str], after: Position[int] | None, filters: dict[str, Any]
) -> None:
    root = explain(app, list_of(after=after, **filters))

    sorted_here = [node for node in nodes_of(root) if "Sort" in node["Node Type"]]
    partitions = {
        each["Relation Name"] for node in sorted_here for each in nodes_of(node) if "Relation Name" in each
    }
    assert not partitions & filled


@pytest.mark.parametrize("since", [None, NOW - timedelta(days=120)])
def test_count_of_everything_reads_only_indexes(
    app: Connection, filled: set[str], since: datetime | None
) -> None:
    root = explain(app, queries.count(incidents(**({"since": since} if since else {}))))

    read = [node for node in nodes_of(root) if node.get("Relation Name") in filled]
    assert {node["Node Type"] for node in read} == {"Index Only Scan"}
    oldest = f"resource_action_traces_y{since:%Y}m{since:%m}" if since else min(filled)
    assert min(node["Relation Name"] for node in read) == oldest


def test_one_incident_is_found_by_its_key_in_every_month(app: Connection, filled: set[str]) -> None:
    plan = plan_of(app, queries.one().params(incident_id=77))

    assert plan.indexes == {"pk_resource_action_traces"}
    assert not plan.read_in_full & filled


WEEK = timedelta(days=7)
AGGREGATES: list[tuple[Select[Any], set[str]]] = [
    (aggregates.outcomes_by_workflow(executions(incident_type="type-7")), {"idx_incident_type_success"}),
    (aggregates.outcomes_by_incident_type(executions(workflow_id="workflow-7")), {"idx_workflow_success"}),
    (aggregates.outcomes(executions(action_type="action-7")), {"idx_rat_action_type"}),
    (aggregates.counts_by_day(NOW - WEEK), {"idx_rat_time_id"}),
    (aggregates.counts_by_severity(WEEK), set()),
    (aggregates.outcomes_by_namespace(WEEK), set()),
]


@pytest.mark.parametrize(("statement", "indexes"), AGGREGATES)
def test_aggregate_of_a_week_reads_it_through_an_index(
    app: Connection, filled: set[str], statement: Select[Any], indexes: set[str]
) -> None:
    root = explain(app, statement, "ANALYZE,")
    run = [node for node in nodes_of(root) if "Relation Name" in node and node["Actual Loops"]]

    assert {node["Relation Name"] for node in run if node["Relation Name"] in filled} <= {
        f"resource_action_traces_y{at:%Y}m{at:%m}" for at in (NOW, NOW - WEEK)
    }
    used = {index_of(app, node["Index Name"]) for node in nodes_of(root) if "Index Name" in node}
    assert indexes <= used


def test_older_success_rate_finds_workflow_and_action_through_their_indexes(
    app: Connection, filled: set[str]
) -> None:
    plan = plan_of(app, aggregates.workflow_outcomes(LegacyRateRequest("workflow-7", None)))

    assert plan.indexes == {"idx_workflow_success", "uq_resource_action_traces_action_id_action_timestamp"}
    assert not plan.read_in_full & filled
