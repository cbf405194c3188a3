"""Migrations are numbered without a gap, ``head`` is current, and they build what the code expects."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, text

from datastorage.partitions.plan import PARTITIONED_TABLES
from datastorage.tables import SCHEMA_REVISION, metadata
from tests.support.schema import (
    ALEMBIC_INI,
    RoleUrls,
    check,
    downgrade_sql,
    engine_for,
    fresh_database,
    upgrade,
)

MIGRATIONS = ALEMBIC_INI.parent / "alembic"
TABLES = sorted(metadata.tables)

COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = to_regclass(:table) AND a.attnum > 0 AND NOT a.attisdropped
"""
# A reference to a partitioned table has one more row per partition, which belongs to the first.
CONSTRAINTS = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = to_regclass(:table) AND conparentid = 0
"""
INDEXES = """
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    WHERE indrelid = to_regclass(:table)
"""
PARTITION_KEY = "SELECT pg_get_partkeydef(to_regclass(:table))"


@pytest.fixture(scope="module")
def urls(postgres_url: str) -> Iterator[RoleUrls]:
    """Both schemas side by side: ``migrated`` by the migrations, ``declared`` from the metadata."""
    with fresh_database(postgres_url) as urls:
        with engine_for(urls.owner) as engine, engine.begin() as connection:
            connection.execute(text("CREATE SCHEMA migrated"))
            connection.execute(text("CREATE SCHEMA declared"))
        upgrade(in_schema(urls, "migrated"))
        with engine_for(in_schema(urls, "declared")) as engine, engine.begin() as connection:
            metadata.create_all(connection)
        yield urls


@pytest.fixture
def connection(urls: RoleUrls) -> Iterator[Connection]:
    with engine_for(urls.owner) as engine, engine.connect() as connection:
        yield connection


def in_schema(urls: RoleUrls, schema: str) -> URL:
    return urls.owner.update_query_dict({"options": f"-c search_path={schema}"})


def test_migrations_are_numbered_in_order_and_named_after_what_they_do() -> None:
    names = sorted(path.name for path in (MIGRATIONS / "versions").glob("*.py"))

    assert [name[:4] for name in names] == [f"{number:04}" for number in range(1, len(names) + 1)]
    assert all(re.fullmatch(r"\d{4}_[a-z]+(_[a-z]+)+\.py", name) for name in names)


def test_each_migration_follows_the_one_before() -> None:
    script = ScriptDirectory.from_config(Config(str(ALEMBIC_INI)))
    steps = {step.revision: step.down_revision for step in script.walk_revisions()}

    assert steps == {
        revision: (f"{int(revision) - 1:04}" if revision != "0001" else None) for revision in steps
    }
    assert script.get_heads() == [SCHEMA_REVISION]


@pytest.mark.parametrize("number", range(1, int(SCHEMA_REVISION) + 1))
def test_migration_names_every_table_of_which_its_downgrade_loses_something(number: int) -> None:
    revision = ScriptDirectory.from_config(Config(str(ALEMBIC_INI))).get_revision(f"{number:04}")
    before = f"{number - 1:04}" if number > 1 else "base"

    statements = downgrade_sql(f"{number:04}:{before}", "lose-data=yes")

    dropped = re.findall(r"DROP TABLE (?:IF EXISTS )?(\w+)|ALTER TABLE (\w+) DROP COLUMN", statements)
    makes_again = getattr(revision.module, "makes_again", ())
    assert {table or altered for table, altered in dropped} - {"alembic_version"} == {
        *revision.module.loses,
        *makes_again,
    }


def test_head_file_and_code_name_the_newest_migration() -> None:
    newest = max(path.name[:4] for path in (MIGRATIONS / "versions").glob("*.py"))

    assert (MIGRATIONS / "head").read_text(encoding="utf-8") == f"{newest}\n"
    assert newest == SCHEMA_REVISION


def test_folder_of_migrations_does_not_shadow_the_library() -> None:
    assert not (MIGRATIONS / "__init__.py").exists()


def test_alembic_finds_no_difference_between_database_and_metadata(urls: RoleUrls) -> None:
    check(in_schema(urls, "migrated"))


@pytest.mark.parametrize("query", [COLUMNS, CONSTRAINTS, INDEXES, PARTITION_KEY])
@pytest.mark.parametrize("table", TABLES)
def test_migrated_table_is_the_declared_one(connection: Connection, table: str, query: str) -> None:
    migrated, declared = (
        definitions(connection, schema, table, query) for schema in ("migrated", "declared")
    )

    assert migrated == declared
    assert migrated


def test_tables_with_monthly_partitions_are_those_that_say_so() -> None:
    partitioned = {table.name for table in metadata.tables.values() if "partitioned_by" in table.info}

    assert {table.name for table in PARTITIONED_TABLES} == partitioned


def definitions(connection: Connection, schema: str, table: str, query: str) -> list[Any]:
    connection.execute(text("SELECT set_config('search_path', :schema, false)"), {"schema": schema})
    rows = connection.execute(text(query), {"table": table})
    return sorted(str(tuple(row)).replace(f"{schema}.", "") for row in rows)
