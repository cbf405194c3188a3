"""``datastorage ledger``: where the ledger stands, whether it is whole, and leaves for what has none.

Exit codes: 0 good, 1 evidence of tampering, 2 wrong usage or settings, 3 something needed is missing.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

import click
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from datastorage.errors import DatabaseError
from datastorage.ledger import standing
from datastorage.ledger.alarm import RollbackAlarm
from datastorage.ledger.backfill import LOCK, Backfill
from datastorage.ledger.comparison import Differences, LedgerAudit
from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.history import History
from datastorage.ledger.publication import Deliveries, targets_of
from datastorage.ledger.store import LedgerStore
from datastorage.partitions.plan import Month
from datastorage.platform.clock import utc_now
from datastorage.platform.commands import as_json_option, pass_settings, print_table
from datastorage.platform.db.database import Database, application_name
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings

TAMPERED: Final = 1
WRONG: Final = 2
INCOMPLETE: Final = 3
CONNECTIONS: Final = 2

_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


AttachedMonths = Callable[[Database], set[Month]]
"""Returns the months of events that can be read; this feature must not know how months are kept."""


@dataclass(frozen=True, slots=True)
class _Ledger:
    """What the commands work with."""

    settings: Settings
    database: Database
    store: LedgerStore
    attached_months: AttachedMonths

    def months(self, chosen: tuple[Month, ...]) -> list[Month]:
        """Return the chosen months, or all that are attached, the oldest first."""
        return sorted(set(chosen) or self.attached_months(self.database))


class _MonthType(click.ParamType[Month]):
    """A month as ``YYYY-MM``."""

    name = "YYYY-MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Month:
        """Return the month."""
        found = _MONTH.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is not a month such as 2026-11", param, ctx)
        return Month(int(found[1]), int(found[2]))


month_option = click.option(
    "--month", "chosen", type=_MonthType(), multiple=True, help="Only this month; may be repeated."
)


def pass_ledger(command: Callable[..., int]) -> Callable[..., None]:
    """Hand ``command`` the ledger that the settings name, and end with the exit code that it returns."""

    @wraps(command)
    def with_ledger(*args: Any, **kwargs: Any) -> None:
        try:
            settings_of(*args, **kwargs)
        except DatabaseError as error:
            click.echo(f"Error: {error.cause}", err=True)
            raise click.exceptions.Exit(INCOMPLETE) from error
        except click.ClickException as error:
            error.show()
            raise click.exceptions.Exit(WRONG) from error

    @pass_settings
    def settings_of(settings: Settings, *args: Any, **kwargs: Any) -> None:
        with _opened(settings) as ledger:
            code = command(ledger, *args, **kwargs)
        if code:
            raise click.exceptions.Exit(code)

    return with_ledger


@contextmanager
def _opened(settings: Settings) -> Iterator[_Ledger]:
    database = Database(
        settings.database, share=CONNECTIONS, metrics=Metrics(), application_name=application_name()
    )
    with closing(database):
        yield _Ledger(settings, database, LedgerStore(database), click.get_current_context().obj)


def build_group(attached_months: AttachedMonths) -> click.Group:
    """Return the commands, working with ``attached_months``."""
    return click.Group(
        "ledger",
        commands=[status, audit, backfill, publish],
        help="The ledger: where it stands, whether it is whole, and leaves for events that have none.",
        context_settings={"obj": attached_months},
    )


@click.command()
@as_json_option
@pass_ledger
def status(of: _Ledger, *, as_json: bool) -> int:
    """Show size, last sealing, what waits, and the keys."""
    found = standing.status_of(of.database, of.store, of.settings.ledger)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return 0
    rows = [(name.replace("_", " "), "none" if value is None else value) for name, value in found.items()]
    print_table([("", ""), *((name, value) for name, value in rows if not isinstance(value, list | dict))])
    for vkey in found["vkeys"]:
        click.echo(f"key  {vkey}")
    for kind in ("witnesses", "targets"):
        for each in found[kind]:
            size = "nothing yet" if each["tree_size"] is None else f"{each['tree_size']} leaves"
            click.echo(f"{each.get('name') or each['kind']}  {size}")
    return 0


@click.command()
@month_option
@click.option("--leaves-only", is_flag=True, help="Leave out the tree: tiles and root.")
@as_json_option
@pass_ledger
def audit(of: _Ledger, *, chosen: tuple[Month, ...], leaves_only: bool, as_json: bool) -> int:
    """Compare events with leaves, statements with leaves, and leaves with the tree.

    Exits with 1 when something differs.
    """
    checks, found = LedgerAudit(of.database), Differences()
    months = of.months(chosen)
    size = 0 if leaves_only else checks.size()
    with _progress("Comparing", len(months) + size) as bar:
        for month in months:
            checks.compare_month(month, found)
            bar.update(1)
        checks.compare_statements(found)
        if not leaves_only:
            checks.compare_tree(size, found, bar.update)
    _print_differences(found, as_json=as_json)
    return TAMPERED if found.total else 0


@click.command()
@as_json_option
@pass_ledger
def publish(of: _Ledger, *, as_json: bool) -> int:
    """Send the newest signed checkpoint to all targets and witnesses now.

    Exits with 3 when one did not take it, and with 1 when one knows another history.
    """
    try:
        targets = targets_of(of.settings.ledger)
    except MalformedEvidence as error:
        raise click.UsageError(f"ledger.witnesses: {error}") from error
    if not targets:
        raise click.UsageError("neither ledger.publish nor ledger.witnesses is set")
    history = History(of.database)
    note = history.signed_note()
    if note is None:
        click.echo("the ledger has no signed checkpoint", err=True)
        return INCOMPLETE
    alarm = RollbackAlarm(history, of.settings.ledger.origin or "", targets)
    if alarm.look():
        click.echo("TAMPERED rollback: a target knows another history", err=True)
        return TAMPERED
    outcomes = Deliveries(history, targets, Metrics()).deliver(note)
    if as_json:
        click.echo(json.dumps(outcomes, indent=2))
    else:
        for name, outcome in outcomes.items():
            click.echo(f"{name}: {outcome}")
    return 0 if set(outcomes.values()) == {"ok"} else INCOMPLETE


def _print_differences(found: Differences, *, as_json: bool) -> None:
    counts = {kind.value: number for kind, number in found.counts.items()}
    if as_json:
        shown = {kind.value: some for kind, some in found.shown.items()}
        members = {"differences": found.total, "before_ledger": found.before_ledger, "counts": counts}
        click.echo(json.dumps({**members, "shown": shown}, indent=2))
        return
    click.echo(f"TAMPERED {', '.join(counts)}" if found.total else "ok")
    if found.before_ledger:
        click.echo(f"{found.before_ledger} events of before the ledger: run datastorage ledger backfill")
    for kind, some in found.shown.items():
        click.echo(f"{kind}: {found.counts[kind]}, at {', '.join(some)}")


@click.command()
@month_option
@click.option("--rate", type=click.IntRange(min=1), help="Events a second at most.")
@click.option("--dry-run", is_flag=True, help="Count the events, and change nothing.")
@as_json_option
@pass_ledger
def backfill(
    of: _Ledger, *, chosen: tuple[Month, ...], rate: int | None, dry_run: bool, as_json: bool
) -> int:
    """Give leaves to events that were stored outside the ledger.

    Run it once when every pod has this release. It may be stopped and started again. A run over all months
    is stated in the ledger: from then on every event has a leaf.
    """
    if not of.settings.ledger.enabled:
        raise click.UsageError("ledger.enabled is false: nothing is sealed")
    seals = of.settings.ledger.seal_batch
    work, months = Backfill(of.database, of.store, utc_now, seals=seals), of.months(chosen)
    total = work.count(months)
    if dry_run:
        click.echo(json.dumps({"rows": total}) if as_json else f"{total} events have no leaf")
        return 0
    with _alone(of.database), _progress("Backfilling", total) as bar:
        filled = work.run(months, rate=rate, is_whole=not chosen, on_step=bar.update)
    members = {"months": filled.months, "rows": filled.rows,
               "first_leaf": filled.first_leaf, "last_leaf": filled.last_leaf}  # fmt: skip
    click.echo(json.dumps(members) if as_json else f"{filled.rows} events of {len(months)} months")
    return 0


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Keep another backfill out for as long as this one runs.

    Raises:
        click.ClickException: another one runs.
    """
    try:
        connection = database.connect_outside_pool()
    except SQLAlchemyError as error:
        raise click.ClickException("the database does not answer") from error
    with closing(connection):
        lock = func.pg_try_advisory_lock(func.hashtextextended(LOCK, 0))
        if not connection.execute(select(lock)).scalar_one():
            raise click.ClickException("another backfill is under way")
        yield


def _progress(label: str, length: int) -> Any:
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())
