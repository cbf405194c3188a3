"""What can fail before the first listener is opened: one ERROR line and exit code 1 each.

When the same fails later, in a reload, the service goes on as it was.
"""

import atexit
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from datastorage.platform.logs import configure_logging, log_lean
from datastorage.settings import (
    LoggingSettings,
    ServerSettings,
    ServerTlsSettings,
    Settings,
    SettingsError,
    ignored_variables,
)

logger = logging.getLogger(__name__)

POD_DIRECTORY = Path("/var/run/datastorage")


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
    _adopt(settings, environ)
    return settings


def reload_settings(environ: Mapping[str, str], current: Settings) -> Settings | None:
    """Return what the configuration says now, or ``None``, with the reason in the log, when it is wrong.

    The addresses stay as they are: new listeners would drop what waits in the queues of the old ones. So does
    whether a port has TLS: old workers go on accepting for a while.
    """
    try:
        settings = Settings.from_environ(environ)
    except SettingsError as error:
        extra = {"problems": list(error.problems)}
        logger.error("Reload refused, the old configuration stays: %s", error, extra=extra)
        return None
    _adopt(settings, environ)
    server = current.server
    kept = replace(settings.server, host=server.host, port=server.port, metrics_port=server.metrics_port)
    if kept != settings.server:
        logger.warning("Reload keeps the old ports: a restart changes them")
    return replace(settings, server=replace(kept, tls=_kept_tls(server.tls, kept.tls)))


def _kept_tls(current: ServerTlsSettings, new: ServerTlsSettings) -> ServerTlsSettings:
    if (current.is_on, current.metrics) == (new.is_on, new.metrics):
        return new
    logger.warning("Reload leaves TLS on or off at each port: a restart changes that")
    return replace(new, metrics=current.metrics) if current.is_on and new.is_on else current


def _adopt(settings: Settings, environ: Mapping[str, str]) -> None:
    configure_logging(settings.logging)
    for warning in settings.warnings:
        logger.warning(warning)
    for name in ignored_variables(environ):
        log_lean(logger, logging.WARNING, "Unknown environment variable ignored", {"name": name})
    logger.info("Configuration loaded successfully", extra=settings.summary())


def addresses_to_bind(server: ServerSettings) -> list[str]:
    """Return the addresses of API and metrics for gunicorn, an IPv6 address in brackets.

    A name is looked up here, IPv4 first: gunicorn would look for IPv4 addresses only. On Linux ``::`` takes
    connections of both families.

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
    """Make the runtime directory, point ``TMPDIR`` and ``PROMETHEUS_MULTIPROC_DIR`` into it, return it.

    It holds the small files of a running service, in memory where the platform offers it. Variables that are
    set already win. Must run before the Prometheus client is first imported: it decides then whether metrics
    are shared between processes.

    Raises:
        SystemExit: with code 1; the log says which directory cannot be used, and why.
    """
    environ = os.environ  # noqa: TID251 - writes two variables that libraries read
    try:
        chosen = Path(environ["TMPDIR"]) if "TMPDIR" in environ else _new_directory()
        environ["TMPDIR"] = str(chosen)
        metrics = Path(environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(chosen / "metrics")))
        metrics.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        extra = {"path": error.filename, "reason": error.strerror}
        logger.error("Cannot use the runtime directory", extra=extra)
        raise SystemExit(1) from error
    return chosen


def _new_directory() -> Path:
    if POD_DIRECTORY.is_dir() and os.access(POD_DIRECTORY, os.W_OK):
        return POD_DIRECTORY
    shared_memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a private directory inside
    parent = shared_memory if os.access(shared_memory, os.W_OK) else None
    made = Path(tempfile.mkdtemp(prefix="datastorage-", dir=parent))
    atexit.register(_remove, made, os.getpid())
    return made


def _remove(directory: Path, maker: int) -> None:
    # A worker inherits what is registered at exit, and ends while others still need the files.
    if os.getpid() == maker:
        shutil.rmtree(directory, ignore_errors=True)
