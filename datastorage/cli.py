"""Contents page: the ``datastorage`` command and its groups."""

from importlib import import_module
from pathlib import Path

import click

from datastorage import __version__

COMMANDS = {
    "serve": "datastorage.platform.server.cli",  # the service, under gunicorn
    "dev": "datastorage.embedded.cli",  # the service with its own PostgreSQL and Redis, for development
    "partitions": "datastorage.partitions.cli",  # list, ensure
    "dlq": "datastorage.operators",  # status, list, show, replay, discard
    "openapi": "datastorage.openapi",  # the API document
    "demo": "datastorage.demo.cli",  # sample data through the HTTP API
}
"""The module of each command, which is an attribute of the same name there."""


class Commands(click.Group):
    """Imports a command when somebody asks for it: ``serve`` must not wait for alembic."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the page above."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, or None when there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name]), cmd_name)
        return command


@click.group(cls=Commands)
@click.version_option(__version__, prog_name="datastorage")
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="YAML file; wins over CONFIG_PATH."
)
@click.pass_context
def main(ctx: click.Context, config_path: Path | None) -> None:
    """Audit trail, incidents and workflow catalogue of a Kubernetes remediation platform."""
    ctx.meta["config_path"] = config_path
