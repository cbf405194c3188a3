"""``datastorage serve``: the service, under gunicorn."""

import logging
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

import click

from datastorage import __version__
from datastorage.platform.logs import configure_logging
from datastorage.platform.server.runtime import prepare_environment
from datastorage.settings import LoggingSettings, Settings, SettingsError, environment

logger = logging.getLogger(__name__)

GUNICORN_CONFIGURATION = "python:datastorage.platform.server.gunicorn_conf"


@click.command()
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Serve the API on server.port and metrics on server.metrics_port."""
    # As process 1 the default action of SIGTERM is "ignore": until gunicorn takes over, it means exit.
    signal.signal(signal.SIGTERM, _exit_at_once)
    config_path: Path | None = ctx.find_root().meta.get("config_path")
    if config_path is not None:
        os.environ["CONFIG_PATH"] = str(config_path)  # noqa: TID251 - gunicorn's configuration reads it
    check_settings(config_path)
    prepare_environment()
    # A fresh interpreter: the Prometheus client decides at its first import whether metrics are shared.
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "-c", GUNICORN_CONFIGURATION])  # noqa: S606 - no shell is wanted


def _exit_at_once(_signal: int, _frame: FrameType | None) -> None:
    os._exit(0)


def check_settings(config_path: Path | None) -> Settings:
    """Return the settings; a mistake is one ERROR line and exit code 1, before any port is opened."""
    try:
        settings = Settings.load(config_path, environment())
    except SettingsError as error:
        configure_logging(LoggingSettings(), __version__, socket.gethostname())
        logger.error(str(error), extra={"problems": list(error.problems)})  # noqa: TRY400 - the trace says nothing more
        raise click.exceptions.Exit(1) from error
    configure_logging(settings.logging, __version__, socket.gethostname())
    for warning in settings.warnings:
        logger.warning(warning)
    logger.info("Configuration loaded successfully", extra=settings.summary())
    return settings
