"""Lines that every request writes: without a record, and not to be told from others."""

import logging

import pytest

from datastorage.platform.logs import RequestContext, log_lean, request_context
from tests.support.logs import Configure

logger = logging.getLogger("datastorage.test")


@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING, logging.ERROR])
def test_lean_line_is_the_ordinary_line(configure_alone: Configure, level: int, format_: str) -> None:
    output = configure_alone(format=format_)
    request_context.set(RequestContext("req-1", "rr-of-the-header"))
    fields = {"status": 201, "correlation_id": "rr-7", "path": "/x?api_key=hunter2", "password": "hunter2"}

    logger.log(level, "HTTP request", extra=fields)
    log_lean(logger, level, "HTTP request", fields)

    ordinary, lean = (line.partition("Z")[2] for line in output.text.splitlines())
    assert lean == ordinary
    assert "rr-7" in lean
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
