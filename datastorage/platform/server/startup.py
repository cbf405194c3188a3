"""What can fail before the first listener is opened: one ERROR line and exit code 1 each.

When the same fails later, in a reload, the service goes on as it was.
"""

import logging
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from datastorage.platform.logs import configure_logging
from datastorage.platform.server.runtime import prepare_environment
from datastorage.settings import LoggingSettings, ServerSettings, Settings, SettingsError

logger = logging.getLogger(__name__)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings, with logging set up as they say.

    Raises:
        SystemExit: with code 1; every mistake in the configuration is in the log.
    """
    try:
        settings = Settings.from_environ(environ)
    except SettingsError as error:
        configure_logging(LoggingSettings())
        logger.error(str(error), extra={"problems": list(error.problems)})
        raise SystemExit(1) from error
    _adopt(settings)
    return settings


def reload_settings(environ: Mapping[str, str], current: Settings) -> Settings | None:
    """Return what the configuration says now, or ``None``, with the reason in the log, when it is wrong.

    The addresses stay as they are: new listeners would drop what waits in the queues of the old ones.
    """
    try:
        settings = Settings.from_environ(environ)
    except SettingsError as error:
        extra = {"problems": list(error.problems)}
        logger.error("Reload refused, the old configuration stays: %s", error, extra=extra)
        return None
    _adopt(settings)
    kept = replace(settings.server, **_addresses(current))
    if kept != settings.server:
        logger.warning("Reload keeps the old ports: a restart changes them")
    return replace(settings, server=kept)


def _adopt(settings: Settings) -> None:
    configure_logging(settings.logging)
    for warning in settings.warnings:
        logger.warning(warning)
    logger.info("Configuration loaded successfully", extra=settings.summary())


def _addresses(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings.server, name) for name in ("host", "port", "metrics_port")}


def addresses_to_bind(server: ServerSettings) -> list[str]:
    """Return the addresses of API and metrics as gunicorn takes them, an IPv6 address in brackets.

    A name is looked up here, IPv4 first, since gunicorn knows names of IPv4 only. ``::`` takes
    connections of both families, as Linux has it.

    Raises:
        SystemExit: with code 1; the log says that the name is unknown.
    """
    try:
        found = socket.getaddrinfo(server.host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        extra = {"host": server.host, "reason": error.strerror}
        logger.error("Cannot resolve server.host", extra=extra)
        raise SystemExit(1) from error
    family, *_, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    host = f"[{address[0]}]" if family == socket.AF_INET6 else address[0]
    return [f"{host}:{port}" for port in (server.port, server.metrics_port)]


def open_runtime_directory() -> Path:
    """Return the runtime directory, ready to be used.

    Raises:
        SystemExit: with code 1; the log says which directory cannot be used, and why.
    """
    try:
        return prepare_environment()
    except OSError as error:
        extra = {"path": error.filename, "reason": error.strerror}
        logger.error("Cannot use the runtime directory", extra=extra)
        raise SystemExit(1) from error
