"""What commands share: the settings, read when a command needs them and not before."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from datastorage.settings import Settings, SettingsError, environment, forget_libpq_variables


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
        forget_libpq_variables()
        return command(settings, *args, **kwargs)

    return with_settings
