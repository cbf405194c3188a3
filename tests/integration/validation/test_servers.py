"""PostgreSQL and Redis as the checks find them: right, wrong, frozen, gone."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.embedded.redis import EmbeddedRedis
from datastorage.validation import queue, servers
from datastorage.validation.run import Check, run
from datastorage.validation.subject import Broken, Doubtful, Subject
from tests.support.schema import RoleUrls, engine_for, fresh_database, upgrade
from tests.support.servers import TestDatabase
from tests.support.service import free_port

NO_REDIS = "redis://127.0.0.1:1/0"


def subject_of(database_url: object, redis_url: str = NO_REDIS, **variables: str) -> Subject:
    shown = database_url if isinstance(database_url, str) else plain(database_url)
    return Subject(None, {"DATASTORAGE_DATABASE_URL": shown, "DATASTORAGE_REDIS_URL": redis_url} | variables)


def plain(url: object) -> str:
    rendered: str = url.set(drivername="postgresql").render_as_string(hide_password=False)  # type: ignore[attr-defined]
    return rendered


@pytest.fixture
def empty(postgres_url: str) -> Iterator[RoleUrls]:
    with fresh_database(postgres_url) as urls:
        yield urls


def test_complete_database_passes_with_what_was_measured(database: TestDatabase) -> None:
    subject = subject_of(database.app_url)

    found = [examine(subject, 10) for examine in (servers.postgresql, servers.schema, servers.tables)]

    assert f"at {database.app_url.host}:{database.app_url.port} answers in " in found[0]
    assert found[0].endswith("logged in as datastorage_app")
    assert "the schema is at revision 0" in found[1]
    assert found[2].startswith("all 13 tables exist, with partitions from ")
    assert "append-only triggers in force; changes of definitions are not recorded; PUBLIC may" in found[2]


def test_port_where_nobody_listens_is_named() -> None:
    port = free_port()

    with pytest.raises(Broken) as raised:
        servers.postgresql(subject_of(f"postgresql://app:secret@127.0.0.1:{port}/none"), 10)

    assert str(raised.value) == f"nothing listens at 127.0.0.1:{port} (Connection refused)"
    assert "database.port" in raised.value.repair
    assert "docker run" in raised.value.repair


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"password": "Zq-wrong-Zq"}, "password authentication failed"),
        ({"database": "no_such_database"}, 'database "no_such_database" does not exist'),
    ],
    ids=["password", "name"],
)
def test_login_that_fails_shows_what_the_server_says(
    database: TestDatabase, change: dict[str, str], complaint: str
) -> None:
    with pytest.raises(Broken) as raised:
        servers.postgresql(subject_of(database.app_url.set(**change)), 10)  # type: ignore[arg-type]

    assert complaint in str(raised.value)
    assert "Zq-" not in str(raised.value)
    assert "database.secretsFile" in raised.value.repair


def test_mistakes_in_the_configuration_are_a_finding() -> None:
    subject = subject_of("postgresql://app@127.0.0.1:1/none", DATASTORAGE_SERVER_PORT="80")

    with pytest.raises(Broken, match="server port must be between 1024 and 65535, got: 80"):
        servers.postgresql(subject, 10)


def test_database_without_a_schema_asks_for_the_migrations(empty: RoleUrls) -> None:
    with pytest.raises(Broken) as raised:
        servers.schema(subject_of(empty.app), 10)

    assert str(raised.value) == "there is no schema: resource_action_traces is missing"
    assert raised.value.repair == "alembic upgrade head"


def test_older_schema_and_a_missing_month_are_found(empty: RoleUrls) -> None:
    upgrade(empty.owner)
    subject = subject_of(empty.app)
    with engine_for(empty.owner) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        names = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_events'::regclass"
        last = max(connection.scalars(text(names)))
        connection.execute(text(f"ALTER TABLE audit_events DETACH PARTITION {last}"))

    with pytest.raises(Broken, match="the schema is at revision 0001, this code needs ") as outdated:
        servers.schema(subject, 10)
    with pytest.raises(Broken, match="months without a partition: ") as incomplete:
        servers.tables(subject, 10)

    assert outdated.value.repair == "alembic upgrade head"
    assert last.removeprefix("audit_events_") in str(incomplete.value)
    assert incomplete.value.repair == "datastorage partitions ensure"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            "ALTER TABLE notification_audit DISABLE TRIGGER trg_notification_audit_append_only",
            "trg_notification_audit_append_only on notification_audit",
        ),
        (
            "ALTER TABLE audit_events_2026_01 DISABLE TRIGGER trg_audit_events_append_only",
            "trg_audit_events_append_only on audit_events_2026_01",
        ),
        (
            "DROP TRIGGER trg_audit_events_no_truncate ON audit_events_2026_01",
            "trg_audit_events_no_truncate on audit_events_2026_01",
        ),
    ],
    ids=["disabled", "disabled in a month", "dropped"],
)
def test_append_only_trigger_that_does_not_fire_is_found(
    empty: RoleUrls, change: str, complaint: str
) -> None:
    upgrade(empty.owner)
    with engine_for(empty.owner) as engine, engine.begin() as connection:
        connection.execute(text(change))

    with pytest.raises(Broken) as raised:
        servers.tables(subject_of(empty.app), 10)

    assert not isinstance(raised.value, Doubtful)
    assert str(raised.value) == f"records can be changed, disabled or missing: {complaint}"
    assert "ENABLE TRIGGER" in raised.value.repair


@pytest.mark.parametrize(
    ("grant", "complaint"),
    [
        ("GRANT DELETE ON audit_events_2026_01 TO datastorage_app", "DELETE on audit_events_2026_01"),
        (
            "GRANT UPDATE (owner) ON remediation_workflow_catalog TO PUBLIC",
            "UPDATE (owner) on remediation_workflow_catalog",
        ),
        ("GRANT CREATE ON SCHEMA public TO datastorage_app", "CREATE in the schema"),
    ],
)
def test_grant_that_no_statement_needs_is_a_warning(empty: RoleUrls, grant: str, complaint: str) -> None:
    upgrade(empty.owner)
    with engine_for(empty.owner) as engine, engine.begin() as connection:
        connection.execute(text(grant))

    with pytest.raises(Doubtful, match="the role may do more than the service needs") as raised:
        servers.tables(subject_of(empty.app), 10)

    assert str(raised.value).endswith(f": {complaint}")


def test_role_that_owns_the_tables_is_a_warning(empty: RoleUrls) -> None:
    upgrade(empty.owner)

    with pytest.raises(Doubtful, match="the role owns the tables"):
        servers.tables(subject_of(empty.owner), 10)


def test_database_whose_superuser_has_done_his_part_has_no_open_end(empty: RoleUrls) -> None:
    upgrade(empty.superuser)

    assert servers.tables(subject_of(empty.app), 10).endswith("append-only triggers in force")


def test_missing_table_is_named(empty: RoleUrls) -> None:
    upgrade(empty.owner)
    with engine_for(empty.owner) as engine, engine.begin() as connection:
        connection.execute(text("DROP TABLE notification_audit"))

    with pytest.raises(Broken, match="missing tables: notification_audit"):
        servers.tables(subject_of(empty.app), 10)


def test_frozen_postgresql_holds_nobody_up_for_long(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres") as frozen:
        subject = subject_of(frozen.url("postgres"))
        frozen.freeze()
        check = Check(number=1, title="PostgreSQL", examine=servers.postgresql, seconds=3)
        began = time.monotonic()
        [finding] = run([check], subject, frozenset(), lambda _check: None)
        seconds = time.monotonic() - began
        frozen.thaw()

    assert finding.status == "FAIL"
    assert seconds < 6


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as running:
        yield running


def test_scratch_database_is_made_on_the_server_for_tests(
    database: TestDatabase, redis: EmbeddedRedis, postgres_url: str
) -> None:
    subject = subject_of(database.app_url, redis.url, DATASTORAGE_TEST_DATABASE_URL=postgres_url)

    found = queue.servers_for_tests(subject, 20)

    assert f"Redis at 127.0.0.1:{redis.port} answers, noeviction, append-only file on" in found
    assert "a scratch database was created and dropped on the server of DATASTORAGE_TEST_" in found


def test_role_that_may_not_create_databases_is_not_enough(
    database: TestDatabase, redis: EmbeddedRedis
) -> None:
    url = plain(database.app_url)
    subject = subject_of(database.app_url, redis.url, DATASTORAGE_TEST_DATABASE_URL=url)

    with pytest.raises(Broken, match="permission denied to create database") as raised:
        queue.servers_for_tests(subject, 20)

    assert "CREATEDB" in raised.value.repair


def test_redis_that_may_lose_the_queue_is_found(database: TestDatabase, tmp_path: Path) -> None:
    careless = {"maxmemory-policy": "allkeys-lru", "appendonly": "no"}
    with EmbeddedRedis(tmp_path / "redis", settings=careless) as redis, pytest.raises(Broken) as raised:
        queue.servers_for_tests(subject_of(database.app_url, redis.url), 20)

    assert "maxmemory-policy is allkeys-lru, appendonly is no" in str(raised.value)
    assert "CONFIG SET maxmemory-policy noeviction" in raised.value.repair


@pytest.mark.parametrize(("require_aof", "judged"), [("false", Doubtful), ("true", Broken)])
def test_queue_that_is_not_durable_is_a_warning_unless_it_must_be(
    database: TestDatabase, postgres_url: str, tmp_path: Path, require_aof: str, judged: type[Broken]
) -> None:
    old = {"appendfsync": "everysec", "rename-command WAITAOF": ""}
    variables = {
        "DATASTORAGE_TEST_DATABASE_URL": postgres_url,
        "DATASTORAGE_REDIS_DLQ_REQUIRE_AOF": require_aof,
    }
    with EmbeddedRedis(tmp_path / "redis", settings=old) as redis, pytest.raises(Broken) as raised:
        queue.servers_for_tests(subject_of(database.app_url, redis.url, **variables), 20)

    assert type(raised.value) is judged
    assert "the queue is not durable: appendfsync is everysec" in str(raised.value)
    assert "appendfsync always" in raised.value.repair


def test_redis_that_is_not_there_is_named(database: TestDatabase) -> None:
    with pytest.raises(Broken, match=r"Redis at 127\.0\.0\.1:1 does not answer") as raised:
        queue.servers_for_tests(subject_of(database.app_url), 20)

    assert "valkey" in raised.value.repair
