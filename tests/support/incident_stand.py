"""A service with a database of its own, and the incidents that tests of reading know by heart."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, insert, text

from datastorage.tables import resource_action_traces
from tests.support.builders import now
from tests.support.http import Api
from tests.support.incident_builders import a_trace_row, insert_history
from tests.support.servers import Servers, migrated_database
from tests.support.service import ServiceProcess


@dataclass(frozen=True)
class Stand:
    """A running service and the database that only it uses."""

    service: ServiceProcess
    engine: Engine

    @property
    def api(self) -> Api:
        """A client of the service."""
        return self.service.api

    @contextmanager
    def owner(self) -> Iterator[Connection]:
        """Open an autocommitting connection as the schema owner."""
        with self.engine.connect() as connection:
            yield connection


@contextmanager
def incident_stand(servers: Servers, directory: Path, **settings: str) -> Iterator[Stand]:
    """Migrate a database and start a service on it."""
    with migrated_database(servers.postgres_url) as database:
        url = database.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
        engine = create_engine(database.owner_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with ServiceProcess(directory, url, servers.redis_url, **settings) as service:
            yield Stand(service, engine)
        engine.dispose()


ARABIC, CHINESE, ROCKET, MIXED = "مساحة-الإنتاج", "生产环境", "prod-\U0001f680", "prod-环境-\U0001f525"

_MEMORY = {"signal_name": "HighMemoryUsage", "incident_type": "pod-oom-killer", "ai_selected_workflow": True}
_DISK = {
    "signal_name": "DiskPressure",
    "incident_type": "disk-pressure",
    "action_type": "cleanup_disk",
    "workflow_id": "disk-cleanup",
    "workflow_version": "v1.0",
}
_CPU = {"signal_name": "HighCPU", "incident_type": "high-cpu", "action_type": "scale_deployment"}
_PRODUCTION = {"namespace": "production", "cluster_name": "eu-1", "environment": "prod"}
_STAGING = {"namespace": "staging", "cluster_name": "us-1", "environment": "staging"}
_EIGHT_DAYS = timedelta(days=8)


def _hours(hours: float) -> timedelta:
    return timedelta(hours=hours)


def _oom(version: str) -> dict[str, Any]:
    return {"workflow_id": "pod-oom-recovery", "workflow_version": version}


def _in_prod(namespace: str, cluster: str = "eu-1") -> dict[str, Any]:
    return {"namespace": namespace, "cluster_name": cluster, "environment": "prod"}


_RESTART, _INCREASE = {"action_type": "restart_pod"}, {"action_type": "increase_memory"}
_SELECTED, _CHAINED = {"ai_selected_workflow": True}, {"ai_chained_workflows": True}
_MANUAL = {"ai_manual_escalation": True}
_LEGACY = {"signal_name": "HighMemoryUsage", "action_id": "legacy-wf-1"}
_NODE = {
    "namespace": "kube-system",
    "signal_name": "NodeNotReady",
    "action_type": "drain_node",
    "incident_type": "node-not-ready",
}
_SCALE = {"workflow_id": "cpu-scale", "workflow_version": "v2.0"}

# Age, severity, status, everything else; the ids are 1 to 12 in this order.
_TWELVE: tuple[tuple[timedelta, str, str, dict[str, Any]], ...] = (
    (_hours(1), "critical", "completed", _PRODUCTION | _MEMORY | _oom("v1.2") | _RESTART),
    (_hours(2), "critical", "completed", _PRODUCTION | _MEMORY | _oom("v1.2") | _INCREASE),
    (_hours(3), "high", "failed", _PRODUCTION | _MEMORY | _oom("v1.1") | _INCREASE),
    (_hours(4), "warning", "completed", _STAGING | _DISK | _CHAINED | {"alert_name": "NodeDiskPressure"}),
    (_hours(5), "medium", "pending", _STAGING | _DISK),
    (_hours(26), "low", "completed", _in_prod(ARABIC) | _CPU | _MANUAL),
    (_hours(27), "info", "failed", _in_prod(CHINESE, "cn-1") | _CPU | _MANUAL),
    (_hours(28), "critical", "completed", _in_prod(ROCKET) | _CPU | _SCALE | _SELECTED | _CHAINED),
    (_hours(29), "high", "completed", _in_prod(MIXED) | _CPU | _SCALE | _SELECTED),
    (_EIGHT_DAYS, "critical", "completed", _PRODUCTION | _MEMORY | _oom("v1.2") | _RESTART),
    (_EIGHT_DAYS, "critical", "failed", _PRODUCTION | _LEGACY | _RESTART),
    (timedelta(days=40), "high", "completed", _NODE),
)


def insert_twelve(owner: Connection) -> None:
    """Insert the twelve incidents; their ids are 1 to 12, newest first, 10 and 11 at the same instant."""
    history_id = insert_history(owner, kind="Deployment", name="web")
    instant = now()
    for number, (age, severity, status, columns) in enumerate(_TWELVE, start=1):
        row = {
            "action_id": f"a-{number:02}",
            "action_timestamp": instant - age,
            "signal_severity": severity,
            "execution_status": status,
        } | columns
        owner.execute(insert(resource_action_traces), a_trace_row(history_id, **row))


def insert_many(owner: Connection, rows: int) -> None:
    """Insert incidents a second apart, in a namespace of their own."""
    statement = """
        INSERT INTO resource_action_traces (action_history_id, action_id, action_timestamp, signal_name,
            signal_severity, model_used, model_confidence, action_type, namespace, cluster_name)
        SELECT :history_id, 'many-' || n, now() - n * interval '1 second', 'Many', 'info', 'model-a', 0.5,
            'observe', 'many', 'many-1'
        FROM generate_series(1, :rows) AS n
    """
    owner.execute(text(statement), {"history_id": insert_history(owner), "rows": rows})
    owner.execute(text("VACUUM ANALYZE resource_action_traces"))


def ids(answer: Any) -> list[int]:
    """Return the ids of a page, in its order."""
    assert answer.status == 200, answer.body
    return [incident["id"] for incident in answer.json["data"]]
