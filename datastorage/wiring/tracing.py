"""Traces of requests, with the statements and commands in them."""

import redis

from datastorage.platform.db.database import Database
from datastorage.platform.tracing.spans import trace_commands, trace_requests, trace_statements
from datastorage.platform.tracing.telemetry import Telemetry
from datastorage.settings import Settings
from datastorage.wiring.services import Services


def add_tracing(services: Services, settings: Settings) -> None:
    """Trace requests, and what they ask of the database and Redis, which have to be there."""
    telemetry = Telemetry(settings.telemetry)
    services[Database].watch(lambda engine: trace_statements(engine, telemetry.tracer), telemetry.waited)
    trace_commands(services[redis.Redis], telemetry.tracer)
    services.middleware = lambda application: trace_requests(application, telemetry.tracer)
    services.starters.insert(0, telemetry.start)
    services.closers.insert(0, telemetry.close)  # closers run backwards: what closes before may be traced
