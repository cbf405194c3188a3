"""Lines that every request writes: without a record, and not to be told from others."""

import logging

import pytest

from datastorage.platform.logs import RequestContext, line_writers, log_lean, request_context
from tests.support.logs import Configure
from tests.support.waiting import eventually

logger = logging.getLogger("datastorage.test")


FIELDS: dict[str, dict[str, object]] = {
    "plain": {"status": 201, "path": "/api/v1/audit/events", "remote_addr": None, "duration_ms": 1.5},
    "correlated": {"correlation_id": "rr-7", "status": 201},
    "secret in a value": {"path": "/x?api_key=hunter2"},
    "secret by its name": {"password": "hunter2"},
    "secret in a connection string": {"path": "postgresql://ds:hunter2@db/x"},
    "secret in quotes": {"path": "{'token':'hunter2'}", "route": '{"token":"hunter2"}'},
    "innocent marks": {"path": "it's \\ a @ b"},
    "not ASCII": {"path": "/w\xfcrze\u2028", "route": "\x7f"},
    "half a surrogate pair": {"path": "\ud800"},
    "beyond 64 bits": {"bytes": 2**70},
    "nested": {"path": {"token": "hunter2", "of": ["x"]}},
    "all at once": {
        "status": 201,
        "correlation_id": "rr-7",
        "path": "/x?api_key=hunter2",
        "password": "hunter2",
    },
    "none": {},
}


@pytest.mark.parametrize(
    "context", [RequestContext("req-1", "rr-of-the-header"), RequestContext("req-1"), None]
)
@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS)
@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING, logging.ERROR])
def test_lean_line_is_the_ordinary_line(
    configure_alone: Configure,
    level: int,
    format_: str,
    fields: dict[str, object],
    context: RequestContext | None,
) -> None:
    output = configure_alone(format=format_)
    if context is not None:
        request_context.set(context)

    logger.log(level, "HTTP request", extra=fields)
    log_lean(logger, level, "HTTP request", fields)

    ordinary, lean = (line.partition("Z")[2] for line in output.text.splitlines())
    assert lean == ordinary
    assert ("rr-7" in lean) == ("correlation_id" in fields)
    assert "hunter2" not in lean


def test_lean_line_below_the_level_is_not_written(configure_alone: Configure) -> None:
    output = configure_alone("warn")

    log_lean(logger, logging.INFO, "HTTP request", {})

    assert output.text == ""


def test_lean_line_reaches_whoever_else_listens(configure_alone: Configure) -> None:
    output = configure_alone()
    heard: list[logging.LogRecord] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record)

    logging.getLogger().addHandler(Listener())
    log_lean(logger, logging.INFO, "HTTP request", {"status": 201})

    assert [record.getMessage() for record in heard] == ["HTTP request"]
    assert output.only["status"] == 201


def test_lean_line_that_cannot_be_written_ends_nothing(configure_alone: Configure) -> None:
    configure_alone().stream.close()

    log_lean(logger, logging.INFO, "HTTP request", {"status": 201})


def test_line_that_is_made_later_belongs_to_the_request_that_left_it(configure_alone: Configure) -> None:
    output = configure_alone()
    [writer] = line_writers()
    writer.start()

    for number in (1, 2):
        request_context.set(RequestContext(f"req-{number}"))
        log_lean(logger, logging.INFO, "HTTP request", {"number": number})
    eventually(lambda: len(output.lines) == 2)

    assert [(line["request_id"], line["number"]) for line in output.lines] == [("req-1", 1), ("req-2", 2)]


def test_line_that_cannot_be_made_does_not_take_others_along(configure_alone: Configure) -> None:
    output = configure_alone()

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("hunter2")

    for value in (1, Broken(), 3):
        log_lean(logger, logging.INFO, "HTTP request", {"value": value})

    first, failure, last = output.lines
    assert (first["value"], last["value"]) == (1, 3)
    assert (failure["msg"], failure["entry"], failure["error_type"]) == (
        "Log entry not written",
        "datastorage.test",
        "RuntimeError",
    )
    assert "hunter2" not in output.text
