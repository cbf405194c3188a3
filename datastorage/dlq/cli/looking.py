"""The commands that change nothing."""

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import click

from datastorage.dlq.admin import QueueAdmin
from datastorage.dlq.cli.backing import Backing, connected, find_entry, queue_of
from datastorage.dlq.cli.options import as_json_option, dead_option, id_option, stream_option
from datastorage.dlq.entry import Stream
from datastorage.dlq.gauges import oldest_age_seconds
from datastorage.dlq.keys import Delivery
from datastorage.dlq.listing import HEADER, age, document_of, line_of, print_table, row_of, summary_of
from datastorage.dlq.stream import RedisQueue
from datastorage.platform.clock import utc_now
from datastorage.platform.commands import pass_settings
from datastorage.settings import Settings

DEFAULT_LIMIT: Final = 50
"""As many entries as a screen takes."""


@click.command()
@as_json_option
@click.pass_obj
@pass_settings
def status(settings: Settings, backing: Backing, *, as_json: bool) -> None:
    """Show how much is queued, parked and given up."""
    with connected(settings, backing) as client:
        queue = queue_of(client, settings.redis)
        found = [_status_of(queue, stream, settings.redis.dlq_max_len) for stream in Stream]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    header = ("STREAM", "DEPTH", "MAX", "RATIO", "PARKED", "PENDING", "DEAD LETTERS", "OLDEST")
    print_table([header, *map(_status_row, found)])


def _status_row(document: dict[str, Any]) -> tuple[str, ...]:
    *levels, oldest_age_seconds = document.values()
    return *map(str, levels), age(oldest_age_seconds)


def _status_of(queue: RedisQueue, stream: Stream, maximum: int) -> dict[str, Any]:
    levels = queue.levels(stream)
    return {
        "stream": stream.value,
        "depth": levels.depth,
        "max": maximum,
        "ratio": levels.depth / maximum,
        "parked": levels.parked,
        "pending": levels.pending,
        "dead_letters": levels.dead,
        "oldest_age_seconds": round(oldest_age_seconds(queue, stream, utc_now())),
    }


@click.command("list")
@stream_option
@dead_option
@click.option("--parked", is_flag=True, help="The entries that wait for their next attempt.")
@click.option("--limit", type=click.IntRange(min=1), help="How many at most.  [default: 50; all with --full]")
@click.option("--full", is_flag=True, help="Write complete entries, payload included, to the file of --out.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A file only you can read.")
@as_json_option
@click.pass_obj
@pass_settings
def list_(settings: Settings, backing: Backing, *, stream: str, **options: Any) -> None:
    """Show the entries of a queue, oldest first, without their payloads."""
    if options["full"] != (options["out"] is not None):
        raise click.UsageError("--full and --out go together.")
    if options["dead"] and options["parked"]:
        raise click.UsageError("--dead and --parked exclude each other.")
    with connected(settings, backing) as client:
        entries = _entries(QueueAdmin(client), Stream(stream), options)
        if options["full"]:
            written = _write(options["out"], islice(entries, options["limit"]))
            click.echo(f"{written} entries written to {options['out']}")
            return
        now = utc_now()
        found = [summary_of(entry, now) for entry in islice(entries, options["limit"] or DEFAULT_LIMIT)]
    if options["as_json"]:
        click.echo(json.dumps(found, indent=2))
    else:
        print_table([HEADER, *map(row_of, found)])


def _entries(admin: QueueAdmin, stream: Stream, options: dict[str, Any]) -> Iterator[Delivery]:
    return admin.parked(stream) if options["parked"] else admin.entries(stream, dead=options["dead"])


def _write(path: Path, entries: Iterator[Delivery]) -> int:
    """Write ``entries`` to a file that only the caller can read, and return how many there were."""
    written = 0
    try:
        with _private_file(path) as file:
            for entry in entries:
                file.write(line_of(entry))
                written += 1
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
    return written


def _private_file(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)  # it may have been there before
    return os.fdopen(descriptor, "wb")


@click.command()
@stream_option
@id_option
@dead_option
@click.option("--reveal", is_flag=True, help="Do not mask secrets in the payload.")
@click.pass_obj
@pass_settings
def show(settings: Settings, backing: Backing, *, stream: str, entry_id: str, **options: bool) -> None:
    """Show one entry with its payload."""
    with connected(settings, backing) as client:
        entry = find_entry(QueueAdmin(client), Stream(stream), entry_id, dead=options["dead"])
    click.echo(document_of(entry, reveal=options["reveal"]))
