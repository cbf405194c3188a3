"""``python -m bench [quick|full] [--only NAME]...``: how fast the service is beside what it stands on."""

import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from bench import (
    access,
    audit_reads,
    audit_rows,
    audit_writes,
    followers,
    growth,
    incidents,
    ledger,
    manners,
    sealing,
    workflows,
)
from bench.figures import Figure, table, write
from bench.rounds import EFFORTS, WORKFLOWS, Effort
from bench.stand import Stand, servers, serving, settle
from datastorage.embedded.stack import DATABASE, OWNER_ROLE
from datastorage.platform.clock import utc_now

RESULTS = Path(__file__).parent / "results" / "latest.json"
PARTITIONS = 12

SCENARIOS: dict[str, Callable[[Stand, Effort], list[Figure]]] = {
    "by-correlation": audit_reads.by_correlation,
    "long-list": audit_reads.long_list,
    "export": audit_reads.export,
    "incidents": incidents.measure,
    "workflows": workflows.measure,
    "empty-view": audit_writes.empty_view,
    "single": audit_writes.single,
    "cost": audit_writes.cost,
    "tls": audit_writes.by_tls,
    "crowd": audit_writes.crowd,
    "batch": audit_writes.batch,
    "growth": growth.measure,
    "ledger": ledger.writes,
    "sealing": sealing.sealing,
    "followers": followers.followers,
    "held-answers": followers.held_answers,
    "audited-reads": access.audited_reads,
    "permissions": access.permissions,
    "refusals": access.refusals,
    "random-tokens": access.random_tokens,
    "limits": access.limits,
    "stalled": manners.stalled,
    "slow-readers": manners.slow_readers,
}
"""Reads first: what the writes leave behind would be in them."""


@click.command()
@click.argument("size", type=click.Choice(list(EFFORTS)), default="quick")
@click.option("--only", type=click.Choice(list(SCENARIOS)), multiple=True, help="Measure only these.")
def main(size: str, only: Sequence[str]) -> None:
    """Measure with little data in some minutes (quick), or with a million rows of each kind (full)."""
    # As Ctrl-C does: stop what was started, and remove the folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started = utc_now()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="datastorage-bench-") as directory:
        figures = _measure(Path(directory), EFFORTS[size], only or list(SCENARIOS))
    click.echo(f"\n{table(figures)}\n")
    about = {"size": size, "started_at": started.isoformat(timespec="seconds"), "load_before": load_before}
    machine = {"processors": os.cpu_count(), "python": platform.python_version()}
    write(figures, RESULTS, **about, **machine)
    click.echo(f"Load of the machine before the run: {load_before:.1f}. Written to {RESULTS}.")


def _measure(directory: Path, effort: Effort, chosen: Sequence[str]) -> list[Figure]:
    with ExitStack() as stack:
        postgres, redis = stack.enter_context(servers(directory))
        owner_url = postgres.url(DATABASE, OWNER_ROLE)
        if "incidents" in chosen:
            incidents.fill(owner_url, effort.trace_rows)
        if "workflows" in chosen:
            workflows.fill(owner_url, WORKFLOWS)
        audit_rows.fill(owner_url, effort.audit_rows, PARTITIONS)
        settle(postgres.url(DATABASE))
        stand = stack.enter_context(serving(directory, postgres, redis))
        return [
            figure
            for name, measure in SCENARIOS.items()
            if name in chosen
            for figure in measure(stand, effort)
        ]


if __name__ == "__main__":
    main()
