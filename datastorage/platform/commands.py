"""What commands share: settings that are read when a command needs them, and the form of their output."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click

from datastorage.settings import (
    Settings,
    SettingsError,
    environment,
    forget_libpq_variables,
    ignored_variables,
)

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def pass_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Hand ``command`` the settings as its first argument.

    Raises:
        click.ClickException: with every mistake in the configuration.
    """

    @wraps(command)
    def with_settings(*args: Any, **kwargs: Any) -> Any:
        config_path = click.get_current_context().find_root().meta.get("config_path")
        try:
            settings = Settings.load(config_path, environment())
        except SettingsError as error:
            raise click.ClickException(str(error)) from error
        for name in ignored_variables(environment()):
            click.echo(f"warning: unknown environment variable ignored: {name}", err=True)
        forget_libpq_variables()
        return command(settings, *args, **kwargs)

    return with_settings


def print_table(rows: Sequence[Sequence[object]]) -> None:
    """Print rows in columns, the header first; ``None`` is unknown."""
    texts = [["unknown" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
