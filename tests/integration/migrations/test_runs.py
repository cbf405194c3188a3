"""Running the migrations: up, down, up again, as SQL, two at once, without the application role."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.errors import RaiseException
from sqlalchemy import URL, insert, inspect, make_url, text

from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.embedded.stack import OWNER_ROLE
from datastorage.tables import SCHEMA_REVISION, audit_events, notification_audit
from tests.support.event_rows import a_notification_row, an_event_row
from tests.support.schema import (
    ALEMBIC_INI,
    RoleUrls,
    downgrade,
    downgrade_sql,
    engine_for,
    run_script,
    upgrade,
    upgrade_sql,
)


def all_rows(url: URL, query: str) -> list[Any]:
    with engine_for(url) as engine, engine.connect() as connection:
        return list(connection.scalars(text(query)))


def revision(url: URL) -> list[str]:
    return all_rows(url, "SELECT version_num FROM alembic_version")


def test_down_removes_everything_and_up_works_again(empty_urls: RoleUrls) -> None:
    upgrade(empty_urls.owner)
    with engine_for(empty_urls.owner) as engine, engine.begin() as connection:
        connection.execute(insert(audit_events), an_event_row())
        connection.execute(insert(notification_audit), a_notification_row())

    downgrade(empty_urls.owner, lose_data=True)
    left = all_rows(
        empty_urls.owner,
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'"
        " UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    )
    upgrade(empty_urls.owner)

    assert left == ["alembic_version"]
    assert revision(empty_urls.owner) == [SCHEMA_REVISION]


def test_each_migration_goes_down_and_up(empty_urls: RoleUrls) -> None:
    upgrade(empty_urls.owner)

    for number in range(int(SCHEMA_REVISION) - 1, 0, -1):
        downgrade(empty_urls.owner, f"{number:04}")
        upgrade(empty_urls.owner)

    assert revision(empty_urls.owner) == [SCHEMA_REVISION]


def test_downgrade_with_a_detached_month_fails_and_loses_nothing(empty_urls: RoleUrls) -> None:
    upgrade(empty_urls.owner)
    with engine_for(empty_urls.owner) as engine, engine.begin() as connection:
        connection.execute(insert(audit_events), an_event_row())
        connection.execute(text("ALTER TABLE audit_events DETACH PARTITION audit_events_2026_01"))

    error = failure_of(downgrade, empty_urls.owner)

    assert "depend" in error
    assert revision(empty_urls.owner) == [SCHEMA_REVISION]
    assert all_rows(empty_urls.owner, "SELECT count(*) FROM audit_events_2026_01") == [1]


def test_downgrade_that_would_lose_rows_is_refused_and_names_the_tables(urls_with_rows: RoleUrls) -> None:
    refused = run_alembic(urls_with_rows.owner, "downgrade", "base")

    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == (
        "downgrade to base would lose rows of audit_events, notification_audit; pass -x lose-data=yes"
    )
    assert "Traceback" not in refused.stderr
    assert revision(urls_with_rows.owner) == [SCHEMA_REVISION]
    assert all_rows(urls_with_rows.owner, "SELECT count(*) FROM audit_events") == [1]


def test_downgrade_loses_rows_when_it_is_told_to(urls_with_rows: RoleUrls) -> None:
    done = run_alembic(urls_with_rows.owner, "-x", "lose-data=yes", "downgrade", "base")

    assert done.returncode == 0, done.stderr
    assert revision(urls_with_rows.owner) == []


def test_downgrade_that_keeps_every_row_needs_no_leave(urls_with_rows: RoleUrls) -> None:
    as_far_as_rows_allow = run_alembic(urls_with_rows.owner, "downgrade", "0009")
    one_more = run_alembic(urls_with_rows.owner, "downgrade", "-1")

    assert (as_far_as_rows_allow.returncode, one_more.returncode) == (0, 1), "the column of 0009 has values"
    assert revision(urls_with_rows.owner) == ["0009"]
    assert all_rows(urls_with_rows.owner, "SELECT count(*) FROM notification_audit") == [1]


def test_sql_of_a_downgrade_refuses_too_and_changes_nothing(urls_with_rows: RoleUrls) -> None:
    url = urls_with_rows.owner.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        with pytest.raises(RaiseException, match="would lose rows of audit_events, notification_audit"):
            connection.execute(downgrade_sql(f"{SCHEMA_REVISION}:base").encode())
        connection.rollback()

        connection.execute(downgrade_sql(f"{SCHEMA_REVISION}:base", "lose-data=yes").encode())

    assert revision(urls_with_rows.owner) == []


@pytest.fixture
def urls_with_rows(empty_urls: RoleUrls) -> RoleUrls:
    upgrade(empty_urls.owner)
    with engine_for(empty_urls.owner) as engine, engine.begin() as connection:
        connection.execute(insert(audit_events), an_event_row())
        connection.execute(insert(notification_audit), a_notification_row())
    return empty_urls


def run_alembic(url: URL, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "alembic", "-c", str(ALEMBIC_INI), *arguments]
    database_url = url.set(drivername="postgresql").render_as_string(hide_password=False)
    environment = os.environ | {"DATASTORAGE_DATABASE_URL": database_url}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own


def test_sql_of_the_offline_mode_builds_the_same_tables(empty_urls: RoleUrls, urls: RoleUrls) -> None:
    run_script(empty_urls.owner, upgrade_sql())

    with engine_for(empty_urls.owner) as engine, engine.connect() as connection:
        names = inspect(connection).get_table_names()
    with engine_for(urls.owner) as engine, engine.connect() as connection:
        assert set(names) == set(inspect(connection).get_table_names())
    assert revision(empty_urls.owner) == [SCHEMA_REVISION]


def test_two_commands_at_once_migrate_once(empty_urls: RoleUrls) -> None:
    url = empty_urls.owner.set(drivername="postgresql").render_as_string(hide_password=False)
    command = [sys.executable, "-m", "alembic", "-c", str(ALEMBIC_INI), "upgrade", "head"]
    environment = os.environ | {"DATASTORAGE_DATABASE_URL": url}

    runners = [
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own
        for _ in range(2)
    ]
    logs = [runner.communicate(timeout=60)[1] for runner in runners]

    assert [runner.returncode for runner in runners] == [0, 0], logs
    assert sum("Running upgrade  -> 0001" in log for log in logs) == 1
    assert revision(empty_urls.owner) == [SCHEMA_REVISION]


def test_schema_other_than_public_works(empty_urls: RoleUrls) -> None:
    with engine_for(empty_urls.owner) as engine, engine.begin() as connection:
        connection.execute(text(f'CREATE SCHEMA "{OWNER_ROLE}"'))

    upgrade(empty_urls.owner)

    with engine_for(empty_urls.owner) as engine, engine.begin() as connection:
        connection.execute(text("SET LOCAL search_path = public"))
        created = connection.scalar(
            text(f"SELECT \"{OWNER_ROLE}\".ensure_month_partition('audit_events', '2098-07-09')")
        )
        names = inspect(connection).get_table_names(schema=OWNER_ROLE)
    assert created == "created"
    assert {"audit_events", "audit_events_2098_07", "notification_audit"} <= set(names)


def test_missing_application_role_is_no_obstacle(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        url = make_url(server.url("postgres")).set(drivername="postgresql+psycopg")

        upgrade(url)

        assert revision(url) == [SCHEMA_REVISION]


def failure_of(migrate: Any, url: URL) -> str:
    try:
        migrate(url)
    except Exception as error:  # noqa: BLE001 - the kind of error is alembic's business
        return str(error)
    raise AssertionError("the migration succeeded")
