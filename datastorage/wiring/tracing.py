"""Traces of requests, with the statements and commands in them."""

import os
import socket

import redis

from datastorage.platform.db.database import Database
from datastorage.platform.tracing.commands import watch_commands
from datastorage.platform.tracing.requests import traced
from datastorage.platform.tracing.statements import watch_statements
from datastorage.platform.tracing.telemetry import Telemetry
from datastorage.settings import Settings
from datastorage.wiring.services import Services


def add_tracing(services: Services, settings: Settings) -> None:
    """Trace requests, and what they ask of the database and Redis, which have to be there."""
    telemetry = Telemetry(settings.telemetry, instance=f"{socket.gethostname()}/{os.getpid()}")
    services[Database].watch(lambda engine: watch_statements(engine, telemetry.tracer), telemetry.waited)
    watch_commands(services[redis.Redis], telemetry.tracer)
    services.middleware = lambda application: traced(application, telemetry.tracer)
    services.starters.insert(0, telemetry.start)
    services.closers.insert(0, telemetry.close)  # closers run backwards: what closes before may be traced
