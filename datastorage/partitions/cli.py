"""``datastorage partitions``: what exists, and maintenance by hand or by a daily job."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from datastorage.errors import DatabaseError
from datastorage.partitions.plan import months_needed
from datastorage.partitions.store import Outcome, Partition, PartitionStore
from datastorage.platform.clock import utc_now
from datastorage.platform.commands import as_json_option, pass_settings, print_table
from datastorage.platform.db.database import Database, application_name
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings


@click.group()
def partitions() -> None:
    """Monthly partitions: list them, or create the months that are missing."""


@partitions.command("list")
@as_json_option
@pass_settings
def list_(settings: Settings, *, as_json: bool) -> None:
    """Show every partition with its bounds and roughly how many rows it holds."""
    with _store(settings) as store:
        found = store.list_partitions()
    if as_json:
        click.echo(json.dumps([_members(partition) for partition in found], indent=2))
        return
    rows = [(each.table, each.name, each.bounds or "detached", each.approximate_rows) for each in found]
    print_table([("TABLE", "PARTITION", "BOUNDS", "ROWS (ABOUT)"), *rows])


def _members(partition: Partition) -> dict[str, object]:
    return {
        "table": partition.table,
        "partition": partition.name,
        "month": str(partition.month) if partition.month else None,
        "attached": partition.attached,
        "bounds": partition.bounds,
        "approximate_rows": partition.approximate_rows,
    }


@partitions.command()
@click.option(
    "--months", type=click.IntRange(min=0), help="Months beyond the current one, not partition.months_ahead."
)
@as_json_option
@pass_settings
def ensure(settings: Settings, *, months: int | None, as_json: bool) -> None:
    """Create the months that are missing; leave everything else as it is.

    Exits with 1 unless every month can take rows then.
    """
    ahead = settings.partition.months_ahead if months is None else months
    with _store(settings) as store:
        ensured = store.ensure(months_needed(utc_now(), ahead, settings.limits.max_event_age))
    if as_json:
        shown = [
            {"table": each.table, "month": str(each.month), "result": each.outcome, "reason": each.reason}
            for each in ensured
        ]
        click.echo(json.dumps(shown, indent=2))
    else:
        print_table([("TABLE", "MONTH", "RESULT"), *((each.table, each.month, each) for each in ensured)])
    unready = [each for each in ensured if not each.is_ready]
    for each in unready:
        is_detached = each.outcome is Outcome.DETACHED
        why = "detached, and only its owner may decide to attach it" if is_detached else each
        click.echo(f"{each.table} {each.month} takes no rows: {why}", err=True)
    if unready:
        raise click.exceptions.Exit(1)


@contextmanager
def _store(settings: Settings) -> Iterator[PartitionStore]:
    place = settings.database
    with closing(
        Database(place, share=1, metrics=Metrics(), application_name=application_name())
    ) as database:
        try:
            yield PartitionStore(database)
        except DatabaseError as error:
            message = f"PostgreSQL at {place.place} cannot be used ({error.reason}): {error.cause}"
            raise click.ClickException(f"{message}; datastorage validate says how to repair it") from error
