"""Databases, roles and environments that would make the service answer wrongly or not at all."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL

import datastorage
from datastorage.embedded.stack import APP_ROLE, OWNER_ROLE
from tests.support.builders import EVENTS, an_event
from tests.support.isolated import IsolatedService
from tests.support.schema import RoleUrls
from tests.support.service import ServiceProcess, environment_of_a_service
from tests.support.waiting import eventually

SOURCE = Path(datastorage.__file__).parents[1]
EMOJI = {"text": "\N{SNOWMAN} \N{COLLISION SYMBOL} Grüße \\ 'x'"}


@contextmanager
def database_in(isolated: IsolatedService, encoding: str) -> Iterator[RoleUrls]:
    """Create an empty database with an encoding of its own."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(isolated.postgres.url("postgres"), autocommit=True) as superuser:
        create = "CREATE DATABASE {} OWNER {} ENCODING {} LOCALE 'C' TEMPLATE template0"
        names = sql.Identifier(name), sql.Identifier(OWNER_ROLE), sql.Literal(encoding)
        superuser.execute(sql.SQL(create).format(*names))
        try:
            base = isolated.database.owner_url.set(database=name)
            yield RoleUrls(owner=base, app=base.set(username=APP_ROLE), superuser=base)
        finally:
            superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def plain(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def run(
    isolated: IsolatedService, url: URL, *command: str, tmp_path: Path
) -> "subprocess.CompletedProcess[str]":
    """Run a command of ours on a database."""
    variables = {"DATASTORAGE_DATABASE_URL": plain(url), "DATASTORAGE_REDIS_URL": isolated.redis.url}
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, *command],
        env=environment_of_a_service() | variables | {"TMPDIR": str(tmp_path)},
        cwd=SOURCE,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_database_in_another_encoding_is_refused_by_every_command(
    isolated: IsolatedService, tmp_path: Path, encoding: str
) -> None:
    complaint = f"database encoding must be UTF8, it is {encoding}"
    with database_in(isolated, encoding) as urls:
        served = run(isolated, urls.app, "-m", "datastorage", "serve", tmp_path=tmp_path)
        migrated = run(isolated, urls.owner, "-m", "alembic", "upgrade", "head", tmp_path=tmp_path)
        skipped = [f"--skip={number}" for number in range(4, 11)]
        validated = run(isolated, urls.app, "-m", "datastorage", "validate", *skipped, tmp_path=tmp_path)

    errors = [line for line in map(json.loads, served.stdout.splitlines()) if line["level"] == "error"]
    assert (served.returncode, [line["msg"] for line in errors]) == (1, [complaint])
    assert (migrated.returncode, migrated.stderr.splitlines()[-1]) == (1, f"error: {complaint}")
    assert validated.returncode == 1
    assert f"[1/11] FAIL PostgreSQL cannot be used: {complaint}" in validated.stdout
    assert "Traceback" not in served.stdout + migrated.stderr + validated.stdout


@contextmanager
def role_set(isolated: IsolatedService, **settings: str) -> Iterator[None]:
    """Give the service's role settings of its own."""
    role = sql.Identifier(APP_ROLE)
    with psycopg.connect(isolated.postgres.url("postgres"), autocommit=True) as superuser:
        for name, value in settings.items():
            change = sql.SQL("ALTER ROLE {} SET {} = {}")
            superuser.execute(change.format(role, sql.Identifier(name), sql.Literal(value)))
        try:
            yield
        finally:
            superuser.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(role))


ODD = {
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "DateStyle": "SQL, DMY",
    "TimeZone": "Asia/Kathmandu",
    "statement_timeout": "2s",
    "plan_cache_mode": "force_custom_plan",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
}


def test_settings_of_the_role_change_no_answer(isolated: IsolatedService, tmp_path: Path) -> None:
    event = an_event(event_data=EMOJI)
    with role_set(isolated, **ODD), isolated.another_service(tmp_path) as service:
        created = service.api.post(EVENTS, event)
        read = service.api.get(f"{EVENTS}/{created.json['event_id']}")
        page = service.api.get(EVENTS, {"correlation_id": event["correlation_id"]})
        filtered = service.api.get(EVENTS, {"event_data.text": EMOJI["text"]})
        exported = service.api.get(EVENTS, {"format": "ndjson", "correlation_id": event["correlation_id"]})

    usual = isolated.api.get(f"{EVENTS}/{created.json['event_id']}")
    assert (created.status, read.status, page.status, filtered.status) == (201, 200, 200, 200)
    assert read.json["event_data"] == EMOJI
    assert read.body == usual.body
    assert [found["event_id"] for found in page.json["data"]] == [created.json["event_id"]]
    assert json.loads(exported.body.splitlines()[0])["event_data"] == EMOJI


def test_tables_outside_of_search_path_end_the_start(isolated: IsolatedService, tmp_path: Path) -> None:
    with role_set(isolated, search_path="elsewhere"):
        url = isolated.database.app_url
        served = run(isolated, url, "-m", "datastorage", "serve", tmp_path=tmp_path)

    errors = [line for line in map(json.loads, served.stdout.splitlines()) if line["level"] == "error"]
    assert served.returncode == 1
    assert [line["msg"] for line in errors] == [
        "audit_events is not visible by search_path, which is elsewhere"
    ]


def test_database_that_becomes_unsuitable_makes_the_service_unready(
    isolated: IsolatedService, tmp_path: Path
) -> None:
    with isolated.another_service(tmp_path, SERVER_WORKERS="1") as service:
        with role_set(isolated, search_path="elsewhere"):
            terminate(isolated)
            eventually(lambda: service.api.get("/health/ready").status == 503)
            ready = service.api.get("/health/ready")
            event = service.api.post(EVENTS, an_event())
            read = service.api.get(EVENTS)
        eventually(lambda: service.api.get("/health/ready").status == 200)
        afterwards = service.api.get(EVENTS)

    assert ready.json == {"status": "not_ready", "reason": "database_unsuitable"}
    assert (event.status, read.status, afterwards.status) == (202, 503, 200)
    assert "elsewhere" not in read.body.decode()


def terminate(isolated: IsolatedService) -> None:
    every = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'datastorage_app'"
    with psycopg.connect(isolated.postgres.url("postgres"), autocommit=True) as superuser:
        superuser.execute(every)


LIBPQ = {
    "PGSERVICE": "none",
    "PGHOSTADDR": "192.0.2.1",
    "PGTARGETSESSIONATTRS": "standby",
    "PGCHANNELBINDING": "require",
    "PGREQUIREAUTH": "none",
    "PGOPTIONS": "-c search_path=elsewhere",
    "PGCLIENTENCODING": "LATIN1",
    "PGTZ": "Asia/Kathmandu",
    "PGDATESTYLE": "SQL, DMY",
    "PGSSLMODE": "verify-full",
}


def test_variables_of_libpq_have_no_effect_and_are_named(isolated: IsolatedService, tmp_path: Path) -> None:
    service = isolated.another_service(tmp_path)
    service.set_variables(LIBPQ)
    with service:
        answer = service.api.post(EVENTS, an_event(event_data=EMOJI))
        listed = run_with(service, "partitions", "list")

    [warning] = [line["msg"] for line in service.log_lines if "libpq" in line["msg"]]
    assert answer.status == 201
    assert warning == f"environment variables of libpq are ignored: {', '.join(sorted(LIBPQ))}"
    assert listed.returncode == 0, listed.stderr


def run_with(service: ServiceProcess, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "datastorage", *arguments],
        env=service.variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_migrations_pin_their_session(isolated: IsolatedService, tmp_path: Path) -> None:
    """A role whose strings have backslash escapes migrates to the same schema."""
    with database_in(isolated, "UTF8") as urls:
        owner = sql.Identifier(OWNER_ROLE)
        with psycopg.connect(isolated.postgres.url("postgres"), autocommit=True) as superuser:
            for name in ("standard_conforming_strings", "client_encoding"):
                value = sql.Literal(ODD[name])
                superuser.execute(
                    sql.SQL("ALTER ROLE {} SET {} = {}").format(owner, sql.Identifier(name), value)
                )
            try:
                migrated = run(isolated, urls.owner, "-m", "alembic", "upgrade", "head", tmp_path=tmp_path)
            finally:
                superuser.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(owner))
        checked = run(isolated, urls.owner, "-m", "alembic", "check", tmp_path=tmp_path)

    assert migrated.returncode == 0, migrated.stderr
    assert checked.returncode == 0, checked.stderr
