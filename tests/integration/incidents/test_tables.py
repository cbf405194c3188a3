"""The three tables as other tools use them: plain SQL, inherited columns, the application's role."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, delete, insert, select, text, update

from datastorage.tables import action_histories, resource_action_traces, resource_references
from tests.support.incident_builders import insert_history, insert_resource, insert_trace
from tests.support.schema import refused

INDEXES = {
    "idx_rat_time_id",
    "idx_rat_namespace",
    "idx_rat_signal_severity",
    "idx_rat_cluster",
    "idx_rat_signal_name",
    "idx_alert_name_lookup",
    "idx_rat_action_type",
    "idx_rat_execution_status",
    "idx_rat_correlation_id",
    "idx_incident_type_success",
    "idx_workflow_success",
    "idx_workflow_execution",
    "idx_rat_action_history",
}
PARENTS = {"namespace": "payments", "cluster_name": "eu-1", "kind": "Deployment", "name": "web"}


def test_every_index_of_the_contract_exists(owner: Connection) -> None:
    names = owner.scalars(text("SELECT indexname FROM pg_indexes WHERE tablename = 'resource_action_traces'"))

    keys = {"pk_resource_action_traces", "uq_resource_action_traces_action_id_action_timestamp"}
    assert set(names) == INDEXES | keys


def test_new_history_has_the_inherited_defaults(owner: Connection) -> None:
    history_id = insert_history(owner)

    row = owner.execute(select(action_histories).where(action_histories.c.id == history_id)).one()

    assert (row.max_actions, row.max_age_days, row.compaction_strategy) == (1000, 30, "pattern-aware")
    assert (row.oscillation_window_minutes, float(row.effectiveness_threshold)) == (120, 0.7)
    assert (row.pattern_min_occurrences, row.total_actions, row.last_action_at) == (3, 0, None)


def test_new_trace_is_pending_and_unassisted(owner: Connection) -> None:
    row = insert_trace(owner, insert_history(owner))

    assert row.execution_status == "pending"
    assert (row.ai_selected_workflow, row.ai_chained_workflows, row.ai_manual_escalation) == (False,) * 3
    assert row.created_at == row.updated_at


def test_trace_of_an_older_producer_takes_the_place_from_its_resource(app: Connection) -> None:
    row = insert_trace(app, insert_history(app, **PARENTS))

    assert (row.namespace, row.cluster_name) == ("payments", "eu-1")
    assert (row.resource_kind, row.resource_name) == ("Deployment", "web")


def test_what_the_producer_sent_is_kept(app: Connection) -> None:
    row = insert_trace(app, insert_history(app, **PARENTS), namespace="mine", resource_kind="Pod")

    assert (row.namespace, row.resource_kind) == ("mine", "Pod")
    assert (row.cluster_name, row.resource_name) == ("eu-1", "web")


def test_resource_without_cluster_and_namespace_leaves_both_unknown(app: Connection) -> None:
    row = insert_trace(app, insert_history(app, kind="Node", name="node-7"))

    assert (row.namespace, row.cluster_name, row.resource_name) == (None, None, "node-7")


def test_place_is_found_whatever_the_search_path(app: Connection) -> None:
    history_id = insert_history(app, **PARENTS)
    app.execute(text("SET LOCAL search_path = ''"))

    namespace = app.scalar(
        text(
            "INSERT INTO public.resource_action_traces (action_history_id, action_id, action_timestamp,"
            " signal_name, signal_severity, model_used, model_confidence, action_type)"
            " VALUES (:history_id, 'a-path', now(), 's', 'low', 'm', 0.5, 'x') RETURNING namespace"
        ),
        {"history_id": history_id},
    )

    assert namespace == "payments"


def test_cluster_scoped_resource_exists_once(owner: Connection) -> None:
    insert_resource(owner, kind="Node", name="node-1")

    with refused(owner, "23505"):
        insert_resource(owner, kind="Node", name="node-1")


def test_same_name_in_another_cluster_is_another_resource(owner: Connection) -> None:
    first = insert_resource(owner, kind="Node", name="node-1", cluster_name="eu-1")

    assert insert_resource(owner, kind="Node", name="node-1", cluster_name="us-1") != first


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("signal_severity", "urgent"),
        ("signal_severity", "Critical"),
        ("execution_status", "done"),
        ("model_confidence", 1.001),
        ("model_confidence", -0.001),
        ("effectiveness_score", 2),
    ],
)
def test_value_outside_its_list_or_range_violates_a_named_constraint(
    owner: Connection, column: str, value: Any
) -> None:
    history_id = insert_history(owner)

    with refused(owner, "23514") as caught:
        insert_trace(owner, history_id, **{column: value})

    assert isinstance(caught.value.orig, psycopg.Error)
    assert caught.value.orig.diag.constraint_name == f"ck_resource_action_traces_{column}"


def test_action_id_is_unique_at_one_instant(owner: Connection) -> None:
    row = insert_trace(owner, insert_history(owner))

    with refused(owner, "23505"):
        insert_trace(
            owner, row.action_history_id, action_id=row.action_id, action_timestamp=row.action_timestamp
        )


def test_trace_of_an_unknown_history_is_refused(owner: Connection) -> None:
    with refused(owner, "23503"):
        insert_trace(owner, 999_999_999)


def test_change_moves_updated_at(owner: Connection) -> None:
    row = insert_trace(owner, insert_history(owner), updated_at=datetime(2026, 1, 1, tzinfo=UTC))
    of_row = resource_action_traces.c.id == row.id

    owner.execute(update(resource_action_traces).where(of_row).values(execution_status="completed"))

    changed = owner.execute(select(resource_action_traces).where(of_row)).one()
    assert changed.updated_at > row.updated_at
    assert changed.created_at == row.created_at


def test_history_goes_with_its_resource_and_traces_with_their_history(owner: Connection) -> None:
    row = insert_trace(owner, insert_history(owner))
    histories = select(action_histories.c.resource_id).where(action_histories.c.id == row.action_history_id)

    owner.execute(delete(resource_references).where(resource_references.c.id == histories.scalar_subquery()))

    of_row = resource_action_traces.c.id == row.id
    assert owner.execute(select(resource_action_traces).where(of_row)).first() is None


def test_view_counts_traces_by_severity(owner: Connection) -> None:
    history_id = insert_history(owner)
    for severity in ("low", "low", "critical"):
        insert_trace(owner, history_id, signal_severity=severity)

    counts = owner.execute(text("SELECT severity, incident_count FROM incident_summary_view")).all()

    assert {tuple(row) for row in counts} == {("low", 2), ("critical", 1)}


@pytest.mark.parametrize("table", [resource_references, action_histories, resource_action_traces])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {} CASCADE", "ALTER TABLE {} ADD x int"])
def test_application_role_can_neither_delete_nor_alter(app: Connection, table: Any, statement: str) -> None:
    with refused(app, "42501"):
        app.execute(text(statement.format(table.name)))


def test_application_role_writes_every_table(app: Connection) -> None:
    row = insert_trace(app, insert_history(app))

    app.execute(update(action_histories).values(total_actions=1))
    app.execute(update(resource_references).values(api_version="v2"))
    app.execute(update(resource_action_traces).values(execution_status="failed"))

    assert row.id > 0


def test_row_without_a_month_goes_to_the_default_partition(app: Connection) -> None:
    statement = insert(resource_action_traces).returning(text("tableoid::regclass::text"))
    row = {
        "action_history_id": insert_history(app),
        "action_id": "a-2019",
        "action_timestamp": datetime(2019, 5, 1, tzinfo=UTC),
        "signal_name": "s",
        "signal_severity": "low",
        "model_used": "m",
        "model_confidence": 1,
        "action_type": "x",
    }

    assert app.scalar(statement, row) == "resource_action_traces_default"
