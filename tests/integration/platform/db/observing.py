"""What tests of the pool look at: the session they are in, backends, gauges."""

from datetime import timedelta
from typing import Any

import psycopg
from sqlalchemy import Connection, text

from datastorage.platform.metrics import Metrics
from tests.support.waiting import eventually

LONG = timedelta(seconds=30)
SHORT = timedelta(milliseconds=200)


def ping(connection: Connection) -> int:
    return int(connection.execute(text("SELECT 1")).scalar_one())


def setting(name: str) -> Any:
    return lambda connection: connection.execute(
        text("SELECT current_setting(:name)"), {"name": name}
    ).scalar()


def backend(connection: Connection) -> int:
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def sample(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"datastorage_{name}", labels) or 0.0


def gauges(metrics: Metrics) -> list[float]:
    """Connections open, in use and idle."""
    names = ("db_connections_open", "db_connections_in_use", "db_connections_idle")
    return [sample(metrics, name) for name in names]


def terminate(postgres_url: str, *pids: int) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as superuser:
        for pid in pids:
            superuser.execute("SELECT pg_terminate_backend(%s)", [pid])
        alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)"
        eventually(lambda: superuser.execute(alive, [list(pids)]).fetchone() == (0,))
