"""Contents page: the ``datastorage`` command and its groups."""

from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import click

from datastorage import __version__


class Place(NamedTuple):
    """The module that has a command, as an attribute of the same name, and a line for the overview."""

    module: str
    summary: str


COMMANDS = {
    "serve": Place("datastorage.platform.server.cli", "Serve the API and the metrics, under gunicorn."),
    "dev": Place("datastorage.embedded.cli", "Start PostgreSQL, Redis and the service, for development."),
    "validate": Place(
        "datastorage.validation.cli", "Check what the service needs, and say how to repair it."
    ),
    "partitions": Place("datastorage.partitions.cli", "List the monthly partitions, create missing ones."),
    "dlq": Place("datastorage.operators", "Look at the dead-letter queue, replay it, discard from it."),
    "openapi": Place("datastorage.openapi", "Print the API document."),
    "demo": Place("datastorage.demo.cli", "Load sample data through the HTTP API."),
}


class Commands(click.Group):
    """Imports a command when it is asked for: ``serve`` must not wait for alembic."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the page above."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, or None when there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        try:
            command: click.Command = getattr(import_module(COMMANDS[cmd_name].module), cmd_name)
        except ModuleNotFoundError as error:
            message = f"{cmd_name} needs {error.name}: pip install 'datastorage[binary,embedded]'"
            raise click.ClickException(message) from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview from the page above: asking each command would import the whole service."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in COMMANDS.items()])


@click.group(cls=Commands)
@click.version_option(__version__, prog_name="datastorage")
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="YAML file; wins over CONFIG_PATH."
)
@click.pass_context
def main(ctx: click.Context, config_path: Path | None) -> None:
    """Audit trail, incidents and workflow catalogue of a Kubernetes remediation platform."""
    ctx.meta["config_path"] = config_path
