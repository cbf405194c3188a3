import json

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Connection, text

from datastorage.partitions.cli import partitions
from datastorage.partitions.plan import Month
from datastorage.platform.clock import utc_now


@pytest.fixture
def this_month() -> Month:
    return Month.of(utc_now())


def run(environ: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(partitions, arguments, env=environ)


def outcome(line: str) -> str:
    return line.split()[2]


def test_list_is_a_table_with_bounds(environ: dict[str, str]) -> None:
    result = run(environ, "list")

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0].split() == ["TABLE", "PARTITION", "BOUNDS", "ROWS", "(ABOUT)"]
    assert lines[1].split()[:5] == ["audit_events", "audit_events_2025_11", "FOR", "VALUES", "FROM"]
    assert any(line.split()[1:3] == ["resource_action_traces_default", "DEFAULT"] for line in lines)


def test_list_as_json_names_every_member(environ: dict[str, str]) -> None:
    first = json.loads(run(environ, "list", "--json").stdout)[0]

    assert first == {
        "table": "audit_events",
        "partition": "audit_events_2025_11",
        "month": "2025_11",
        "attached": True,
        "bounds": "FOR VALUES FROM ('2025-11-01') TO ('2025-12-01')",
        "approximate_rows": None,
    }


def test_ensure_twice_finds_the_same_months(environ: dict[str, str]) -> None:
    first, second = run(environ, "ensure"), run(environ, "ensure")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert len(second.stdout.splitlines()) == 1 + 5 + 5
    assert all(line.endswith("exists") for line in second.stdout.splitlines()[1:])


def test_ensure_with_months_looks_further_ahead(environ: dict[str, str], this_month: Month) -> None:
    result = run(environ, "ensure", "--months", "5", "--json")

    ensured = json.loads(result.stdout)
    assert [month["result"] for month in ensured] == (["exists"] * 5 + ["created"] * 2) * 2
    assert ensured[0] == {
        "table": "audit_events",
        "month": str(this_month.previous()),
        "result": "exists",
        "reason": None,
    }


def test_ensure_reports_a_detached_month_and_leaves_it(
    environ: dict[str, str], owner: Connection, this_month: Month
) -> None:
    name = f"audit_events_{this_month.next()}"
    owner.execute(text(f"ALTER TABLE audit_events DETACH PARTITION {name}"))

    ensured, listed = run(environ, "ensure", "--months", "1"), run(environ, "list")

    assert ensured.exit_code == 1
    assert ensured.stderr.startswith(f"audit_events {this_month.next()} takes no rows: detached")
    assert [outcome(line) for line in ensured.stdout.splitlines()[1:]] == [
        "exists", "exists", "detached",  # audit_events
        "exists", "exists", "exists",  # resource_action_traces
    ]  # fmt: skip
    assert next(line.split()[2] for line in listed.stdout.splitlines() if name in line) == "detached"


def test_ensure_fails_when_a_month_cannot_be_created(
    environ: dict[str, str], owner: Connection, this_month: Month
) -> None:
    month = this_month
    for _ in range(9):
        month = month.next()
    bounds = f"FROM ('{month.first_day}') TO ('{month.next().first_day}')"
    owner.execute(text(f"CREATE TABLE in_the_way PARTITION OF audit_events FOR VALUES {bounds}"))

    result = run(environ, "ensure", "--months", "9")

    assert result.exit_code == 1
    assert f"audit_events {month} takes no rows: failed (" in result.stderr
    failed = [line.split()[:2] for line in result.stdout.splitlines() if "failed (" in line]
    assert failed == [["audit_events", str(month)]]


def test_unreachable_database_is_one_sentence_without_password(environ: dict[str, str]) -> None:
    nowhere = "postgresql://datastorage_app:very-secret@127.0.0.1:1/none"

    result = run(environ | {"DATASTORAGE_DATABASE_URL": nowhere}, "list")

    assert result.exit_code == 1
    server = 'connection to server at "127.0.0.1", port 1 failed: Connection refused'
    assert result.stderr == (
        f"Error: PostgreSQL at 127.0.0.1:1 cannot be used (db_unreachable): connection failed: {server};"
        " datastorage validate says how to repair it\n"
    )


@pytest.mark.parametrize("command", ["list", "ensure"])
def test_missing_settings_are_one_line(command: str) -> None:
    result = CliRunner().invoke(partitions, [command])

    assert result.exit_code == 1
    assert "DATASTORAGE_DATABASE_URL" in result.stderr
    assert len(result.stderr.splitlines()) == 1
