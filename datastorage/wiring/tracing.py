"""Traces, when they are switched on; otherwise none of their packages is imported."""

import os
import socket

import redis
from flask import Flask

from datastorage.platform.db.database import Database
from datastorage.settings import Settings
from datastorage.wiring.services import Services


def add_tracing(services: Services, settings: Settings) -> None:
    """Watch the database and Redis; both have to be there."""
    if not settings.telemetry.enabled:
        return
    from datastorage.platform.tracing.commands import watch_commands
    from datastorage.platform.tracing.statements import watch_statements
    from datastorage.platform.tracing.telemetry import Telemetry

    telemetry = Telemetry(settings.telemetry, instance=f"{socket.gethostname()}/{os.getpid()}")
    services[Database].watch(lambda engine: watch_statements(engine, telemetry.tracer), telemetry.waited)
    watch_commands(services[redis.Redis], telemetry.tracer)
    services.add(telemetry)
    services.starters.insert(0, telemetry.start)
    services.closers.insert(0, telemetry.close)  # closers run backwards: what closes before may be traced


def trace_requests(app: Flask, services: Services, settings: Settings) -> None:
    """Put a span around every request of ``app``."""
    if not settings.telemetry.enabled:
        return
    from datastorage.platform.tracing.requests import traced
    from datastorage.platform.tracing.telemetry import Telemetry

    app.wsgi_app = traced(app.wsgi_app, services[Telemetry].tracer)  # type: ignore[assignment, method-assign] # Flask's way
