"""A span for each Redis command of a traced request: its name, never its arguments."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind, Tracer

from datastorage.platform.tracing.telemetry import is_recording

if TYPE_CHECKING:
    import redis
    from redis.client import Pipeline


def watch_commands(client: "redis.Redis", tracer: Tracer) -> None:
    """Make spans for the commands of ``client`` and of its pipelines."""
    make_pipeline = client.pipeline

    @wraps(make_pipeline)
    def pipeline(*arguments: Any, **options: Any) -> "Pipeline":
        made = make_pipeline(*arguments, **options)
        _replace(made, "execute", _traced(tracer, lambda *_: _names(made), made.execute))
        return made

    _replace(client, "pipeline", pipeline)
    execute = client.execute_command
    _replace(client, "execute_command", _traced(tracer, lambda *command: str(command[0]), execute))


def _replace(instance: object, method: str, by: Callable[..., Any]) -> None:
    """Change one object and not its class: other clients in this process are left alone."""
    setattr(instance, method, by)


def _names(pipeline: "Pipeline") -> str:
    return " ".join(str(arguments[0]) for arguments, _options in pipeline.command_stack)


def _traced(tracer: Tracer, name: Callable[..., str], execute: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(execute)
    def traced(*arguments: Any, **options: Any) -> Any:
        if not is_recording():
            return execute(*arguments, **options)
        operation = name(*arguments)
        attributes = {"db.system.name": "redis", "db.operation.name": operation}
        with tracer.start_as_current_span(
            operation, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False
        ):
            return execute(*arguments, **options)

    return traced
