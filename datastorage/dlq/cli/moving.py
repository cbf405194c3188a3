"""The commands that bring records back, and the one that throws a dead letter away."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import click

from datastorage.dlq.admin import QueueAdmin
from datastorage.dlq.cli.backing import Backing, Discard, Replaying, connected, find_entry, queue_of
from datastorage.dlq.cli.options import (
    DurationType,
    EntryIdType,
    as_json_option,
    id_option,
    stream_option,
)
from datastorage.dlq.drain import Drain, DrainStatistics
from datastorage.dlq.entry import Entry, Stream, Unreadable, decode
from datastorage.dlq.keys import Delivery
from datastorage.dlq.listing import print_table
from datastorage.dlq.stream import RedisQueue
from datastorage.platform.clock import utc_now
from datastorage.platform.commands import pass_settings
from datastorage.platform.logs import configure_logging
from datastorage.settings import Settings

logger = logging.getLogger(__name__)

PROMOTE_COUNT = 1000


@click.command()
@stream_option
@click.option("--dead", is_flag=True, help="Move dead letters back to the queue, instead of parked entries.")
@click.option("--id", "entry_id", type=EntryIdType(), help="Only this dead letter.")
@click.option("--reason", help="Only dead letters given up for this reason.")
@click.option(
    "--now", "drain", is_flag=True, help="Write to the database from here, not only by the service."
)
@click.option("--timeout", type=DurationType(), default="60s", show_default=True, help="For --now.")
@as_json_option
@click.pass_obj
@pass_settings
def replay(settings: Settings, backing: Backing, *, stream: str, as_json: bool, **options: Any) -> None:
    """Let everything that is parked be tried now, or give dead letters another chance."""
    if not options["dead"] and (options["entry_id"] or options["reason"]):
        raise click.UsageError("--id and --reason are for --dead.")
    with connected(settings, backing) as client, _logging(settings, logging.WARNING):
        admin, chosen = QueueAdmin(client), Stream(stream)
        if options["dead"]:
            result = _bring_back(admin, chosen, options["entry_id"], options["reason"])
        else:
            due = admin.make_due(chosen, settings.redis.dlq_backoff, utc_now())
            result = {"made_due": due}
        if options["drain"]:
            queue = queue_of(client, settings.redis)
            with backing.replaying(settings, queue) as replaying:
                _require_database(replaying)
                result |= asdict(_drain(queue, replaying, chosen, options["timeout"]))
    _print_result(result, as_json=as_json)
    if result.get("errors"):
        raise click.exceptions.Exit(1)


def _bring_back(
    admin: QueueAdmin, stream: Stream, entry_id: str | None, reason: str | None
) -> dict[str, Any]:
    if entry_id is None:
        letters = list(admin.entries(stream, dead=True))
    else:
        letters = [find_entry(admin, stream, entry_id, dead=True)]
    result = {"brought_back": 0, "unreadable": 0}
    for letter in letters:
        if reason is not None and letter.fields.get(b"reason", b"").decode() != reason:
            continue
        try:
            result["brought_back"] += admin.bring_back(stream, letter, utc_now())
        except Unreadable:
            result["unreadable"] += 1
    return result


def _require_database(replaying: Replaying) -> None:
    """Refuse to begin without a database; the log line of its probe would say the same once more."""
    logging.disable(logging.WARNING)
    try:
        answers = replaying.database_answers()
    finally:
        logging.disable(logging.NOTSET)
    if not answers:
        raise click.ClickException(
            "The database cannot be reached: nothing was replayed. Start it, or correct database.host and"
            " database.port; datastorage validate says what it answers."
        )


def _drain(queue: RedisQueue, replaying: Replaying, stream: Stream, timeout: timedelta) -> DrainStatistics:
    while queue.promote(stream, utc_now(), PROMOTE_COUNT):
        pass
    depth = queue.levels(stream).depth
    with click.progressbar(length=depth, label=f"Replaying {stream}", file=sys.stderr) as bar:
        drain = Drain(
            queue,
            replaying.replayer,
            database_answers=replaying.database_answers,
            metrics=replaying.metrics,
            progress=lambda: bar.update(1),
        )
        return drain.run(timeout, [stream])


def _print_result(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        print_table([(name.replace("_", " "), str(value)) for name, value in result.items()])


@click.command()
@stream_option
@id_option
@click.option("--by", required=True, help="Your name, for the audit trail.")
@click.option("--reason", default="", help="Why, for the audit trail.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
@pass_settings
def discard(settings: Settings, backing: Backing, *, stream: str, entry_id: str, **options: Any) -> None:
    """Delete one dead letter for ever; who did it and why is recorded first."""
    with connected(settings, backing) as client, _logging(settings, logging.WARNING):
        admin, chosen = QueueAdmin(client), Stream(stream)
        letter = find_entry(admin, chosen, entry_id, dead=True)
        wanted = _discard_of(letter, options["by"], options["reason"])
        if not options["yes"]:
            click.confirm(f"Discard {wanted.record_id or entry_id} ({wanted.failure}) for ever?", abort=True)
        backing.record_discard(settings, wanted)
        if not admin.discard(chosen, entry_id):
            raise click.ClickException(f"Somebody else has discarded or replayed {entry_id} meanwhile.")
        key = "event_id" if chosen is Stream.EVENTS else "notification_id"
        names = {key: wanted.record_id, "message_id": entry_id, "by": wanted.by, "reason": wanted.reason}
        logger.warning("Dead letter discarded", extra=names)
    click.echo(f"{wanted.record_id or entry_id} is discarded.")


def _discard_of(letter: Delivery, by: str, reason: str) -> Discard:
    try:
        entry: Entry | None = decode(letter.message)
    except Unreadable:
        entry = None
    return Discard(
        stream=letter.stream,
        entry_id=letter.id,
        record_id=entry.record_id if entry else "",
        correlation_id=entry.correlation_id if entry else "",
        failure=letter.fields.get(b"reason", b"unknown").decode(),
        by=by,
        reason=reason,
    )


@contextmanager
def _logging(settings: Settings, level: int) -> Iterator[None]:
    """Write log lines of at least ``level`` to standard error, as the service does, for one command."""
    root = logging.getLogger()
    level_before = root.level
    handler = configure_logging(settings.logging, sys.stderr)
    root.setLevel(level)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level_before)
