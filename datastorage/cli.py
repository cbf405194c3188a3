"""Contents page: the ``datastorage`` command and its groups."""

from importlib import import_module
from pathlib import Path

import click

from datastorage import __version__

COMMANDS = {
    "serve": ("datastorage.platform.server.cli", "Serve the API and the metrics, under gunicorn."),
    "dev": ("datastorage.embedded.cli", "Start PostgreSQL, Redis and the service, for development."),
    "validate": ("datastorage.validation.cli", "Check what the service needs, and say how to repair it."),
    "partitions": ("datastorage.partitions.cli", "List the monthly partitions, create missing ones."),
    "dlq": ("datastorage.operators", "Look at the dead-letter queue, replay it, discard from it."),
    "verify": ("datastorage.verification.cli", "Check events, logs and archives against the ledger's key."),
    "ledger": (
        "datastorage.operators",
        "Show where the ledger stands, audit it, backfill it.",
    ),
    "auth": ("datastorage.operators", "Make tokens for callers, find out what one may do."),
    "openapi": ("datastorage.openapi", "Print the API document."),
    "demo": ("datastorage.demo.cli", "Load sample data through the HTTP API."),
}
"""The module that has a command, as an attribute of the same name, and a line for the overview."""


class Commands(click.Group):
    """Imports a command when it is asked for: ``serve`` must not wait for alembic."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the order of the page above."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Return the command, or None when there is none of that name."""
        if name not in COMMANDS:
            return None
        try:
            command: click.Command = getattr(import_module(COMMANDS[name][0]), name)
        except ModuleNotFoundError as error:
            message = f"{name} needs {error.name}: pip install 'datastorage[binary,embedded]'"
            raise click.ClickException(message) from error
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview from the page above: asking each command would import the whole service."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=Commands)
@click.version_option(__version__, prog_name="datastorage")
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="YAML file; wins over CONFIG_PATH."
)
@click.pass_context
def main(ctx: click.Context, config_path: Path | None) -> None:
    """Audit trail, incidents and workflow catalogue of a Kubernetes remediation platform."""
    ctx.meta["config_path"] = config_path
