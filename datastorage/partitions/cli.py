"""``datastorage partitions``: what exists, and maintenance by hand or by a daily job."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from datastorage.errors import DatabaseError
from datastorage.partitions.plan import months_needed
from datastorage.partitions.store import EnsuredMonth, Outcome, Partition, PartitionStore
from datastorage.platform.clock import utc_now
from datastorage.platform.commands import pass_settings
from datastorage.platform.db.database import Database, application_name
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@click.group()
def partitions() -> None:
    """Monthly partitions: list them, or create the months that are missing."""


@partitions.command("list")
@_as_json
@pass_settings
def list_(settings: Settings, *, as_json: bool) -> None:
    """Show every partition with its bounds and roughly how many rows it holds."""
    with _store(settings) as store:
        found = store.list_partitions()
    if as_json:
        click.echo(json.dumps([_partition_document(partition) for partition in found], indent=2))
    else:
        header = ("TABLE", "PARTITION", "BOUNDS", "ROWS (ABOUT)")
        _print_table([header, *(_partition_row(partition) for partition in found)])


@partitions.command()
@click.option(
    "--months", type=click.IntRange(min=0), help="Months beyond the current one, not partition.months_ahead."
)
@_as_json
@pass_settings
def ensure(settings: Settings, *, months: int | None, as_json: bool) -> None:
    """Create the months that are missing; leave everything else as it is.

    Exits with 1 unless every month can take rows afterwards.
    """
    ahead = settings.partition.months_ahead if months is None else months
    with _store(settings) as store:
        ensured = store.ensure(months_needed(utc_now(), ahead, settings.limits.max_event_age))
    if as_json:
        click.echo(json.dumps([_ensured_document(month) for month in ensured], indent=2))
    else:
        _print_table([("TABLE", "MONTH", "RESULT"), *((e.table, str(e.month), _result(e)) for e in ensured)])
    unready = [month for month in ensured if not month.is_ready]
    for month in unready:
        click.echo(f"{month.table} {month.month} takes no rows: {_explanation(month)}", err=True)
    if unready:
        raise click.exceptions.Exit(1)


def _explanation(ensured: EnsuredMonth) -> str:
    if ensured.outcome is Outcome.DETACHED:
        return "detached, and only its owner may decide to attach it"
    return _result(ensured)


@contextmanager
def _store(settings: Settings) -> Iterator[PartitionStore]:
    database = Database(settings.database, share=1, metrics=Metrics(), application_name=application_name())
    try:
        yield PartitionStore(database)
    except DatabaseError as error:
        raise click.ClickException(f"{error.detail} ({error.reason})") from error
    finally:
        database.close()


def _partition_document(partition: Partition) -> dict[str, object]:
    return {
        "table": partition.table,
        "partition": partition.name,
        "month": str(partition.month) if partition.month else None,
        "attached": partition.attached,
        "bounds": partition.bounds,
        "approximate_rows": partition.approximate_rows,
    }


def _partition_row(partition: Partition) -> tuple[str, ...]:
    rows = "unknown" if partition.approximate_rows is None else str(partition.approximate_rows)
    return partition.table, partition.name, partition.bounds or "detached", rows


def _ensured_document(ensured: EnsuredMonth) -> dict[str, object]:
    reason = ensured.error.reason if ensured.error else None
    return {
        "table": ensured.table,
        "month": str(ensured.month),
        "result": ensured.outcome.value,
        "reason": reason,
    }


def _result(ensured: EnsuredMonth) -> str:
    return f"{ensured.outcome} ({ensured.error.reason})" if ensured.error else str(ensured.outcome)


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
