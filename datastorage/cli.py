"""Contents page: the ``datastorage`` command and its groups."""

from pathlib import Path

import click

from datastorage import __version__
from datastorage.demo.cli import demo
from datastorage.embedded.cli import dev
from datastorage.partitions.cli import partitions
from datastorage.platform.server.cli import serve


@click.group()
@click.version_option(__version__, prog_name="datastorage")
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="YAML file; wins over CONFIG_PATH."
)
@click.pass_context
def main(ctx: click.Context, config_path: Path | None) -> None:
    """Audit trail, incidents and workflow catalogue of a Kubernetes remediation platform."""
    ctx.meta["config_path"] = config_path


main.add_command(serve)  # the service, under gunicorn
main.add_command(dev)  # the service with its own PostgreSQL and Redis, for development
main.add_command(partitions)  # list, ensure
main.add_command(demo)  # sample data through the HTTP API
