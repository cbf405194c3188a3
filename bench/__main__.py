"""``python -m bench [quick|full]``: how fast the service is beside the SQL that it runs."""

import os
import platform
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from bench import incidents, workflows
from bench.figures import Figure, table, write
from bench.rounds import EFFORTS, WORKFLOWS, Effort
from bench.stand import servers, serving, settle
from datastorage.embedded.stack import DATABASE, OWNER_ROLE
from datastorage.platform.clock import utc_now

RESULTS = Path(__file__).parent / "results" / "latest.json"


@click.command()
@click.argument("size", type=click.Choice(list(EFFORTS)), default="quick")
def main(size: str) -> None:
    """Measure with little data in two minutes (quick), or with a million incidents (full)."""
    # As Ctrl-C does: stop what was started, and remove the folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started = utc_now()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="datastorage-bench-") as directory:
        figures = _measure(Path(directory), EFFORTS[size])
    click.echo(f"\n{table(figures)}\n")
    about = {"size": size, "started_at": started.isoformat(timespec="seconds"), "load_before": load_before}
    machine = {"processors": os.cpu_count(), "python": platform.python_version()}
    write(figures, RESULTS, **about, **machine)
    click.echo(f"Load of the machine before the run: {load_before:.1f}. Written to {RESULTS}.")


def _measure(directory: Path, effort: Effort) -> list[Figure]:
    with ExitStack() as stack:
        postgres, redis = stack.enter_context(servers(directory))
        owner_url = postgres.url(DATABASE, OWNER_ROLE)
        incidents.fill(owner_url, effort.trace_rows)
        workflows.fill(owner_url, WORKFLOWS)
        settle(postgres.url(DATABASE))
        stand = stack.enter_context(serving(directory, postgres, redis))
        return [*incidents.measure(stand, effort), *workflows.measure(stand, effort)]


if __name__ == "__main__":
    main()
