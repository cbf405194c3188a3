"""The command: servers, service and load generator; then the steady soak, or the one beside attackers."""

import secrets
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import click

from bench.incidents import fill
from bench.load import Generator
from bench.soak import bodies, hostile, steady
from bench.soak.verdicts import Verdict, report
from bench.stand import servers
from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.embedded.stack import APP_ROLE, DATABASE, OWNER_ROLE, migrate
from tests.support.service import ServiceProcess


@click.command()
@click.option("--minutes", default=60.0, show_default=True, help="How long the steady load lasts.")
@click.option("--window", default=60.0, show_default=True, help="Seconds between two looks at the service.")
@click.option("--share", default=0.5, show_default=True, help="Of the rate that is possible here.")
@click.option("--hostile", "is_hostile", is_flag=True, help="Most of the time beside clients that stall.")
@click.option("--bodies", "is_bodies", is_flag=True, help="Send the most expensive bodies, watch the memory.")
def main(minutes: float, window: float, share: float, *, is_hostile: bool, is_bodies: bool) -> None:
    """Keep the service under a steady load and see whether anything grows."""
    # As Ctrl-C does: stop what was started, and remove the folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="datastorage-soak-") as name:
        directory = Path(name)
        with servers(directory) as (postgres, redis), ExitStack() as stack:
            generator = Generator()
            stack.callback(generator.close)
            app_url = postgres.url(DATABASE, APP_ROLE)
            if is_hostile:
                fill(postgres.url(DATABASE, OWNER_ROLE), hostile.INCIDENTS)
            service = stack.enter_context(ServiceProcess(directory / "service", app_url, redis.url))
            windows = max(1, round(minutes * 60 / window))
            if is_bodies:
                _end(bodies.judge(bodies.endure(service, windows, window)))
            soak = steady.Soak(generator, service, app_url, window)
            soak.choose_rate(share)
            if is_hostile:
                _end(hostile.run(soak, service, windows))
            soak.go_on(windows)
            new_url = _new_database(postgres)
            new = stack.enter_context(ServiceProcess(directory / "new", new_url, redis.url))
            verdicts = [*steady.judge(soak.windows), soak.compare(new)]
    soak.write(verdicts)
    click.echo(f"Written to {steady.RESULTS}.")
    _end(verdicts)


def _new_database(postgres: EmbeddedPostgres) -> str:
    name = f"new_{secrets.token_hex(4)}"
    postgres.create_database(name, owner=OWNER_ROLE)
    migrate(postgres.url(name, OWNER_ROLE))
    return postgres.url(name, APP_ROLE)


def _end(verdicts: Sequence[Verdict]) -> NoReturn:
    click.echo(report(verdicts))
    sys.exit(0 if all(verdict.met for verdict in verdicts) else 1)


if __name__ == "__main__":
    main()
