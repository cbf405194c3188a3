"""Logging as the service configures it, into memory."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from datastorage.platform.logs import configure_logging, request_context
from datastorage.platform.logs.destination import LineHandler
from datastorage.platform.logs.lines import NO_REQUEST
from datastorage.settings import LoggingSettings


class Output:
    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def only(self) -> dict[str, Any]:
        (line,) = self.lines
        return line


Configure = Callable[..., Output]


@pytest.fixture
def configure() -> Iterator[Configure]:
    """Configures logging, and puts everything back that configuring changed."""
    names = ("", "gunicorn.error", "gunicorn.access")
    loggers = [logging.getLogger(name) for name in names]
    before = [(each, list(each.handlers), each.level, each.propagate) for each in loggers]
    token = request_context.set(NO_REQUEST)
    found_out = {
        name: getattr(logging, name) for name in ("logThreads", "logProcesses", "logMultiprocessing")
    }

    def start(level: str = "info", format: str = "json") -> Output:  # noqa: A002 - the setting's name
        output = Output()
        configure_logging(LoggingSettings(level=level, format=format), output.stream)
        return output

    yield start
    logging.captureWarnings(capture=False)
    vars(logging).update(found_out)
    request_context.reset(token)
    for each, handlers, level, propagate in before:
        each.handlers[:] = handlers
        each.setLevel(level)
        each.propagate = propagate


@pytest.fixture
def configure_alone(configure: Configure) -> Configure:
    """Configures logging as ``configure`` does, with nobody else listening, as in the service.

    pytest listens, too, and lines without a record are for the service's own handler alone.
    """

    def start(level: str = "info", format: str = "json") -> Output:  # noqa: A002 - the setting's name
        output = configure(level, format)
        root = logging.getLogger()
        root.handlers[:] = [each for each in root.handlers if isinstance(each, LineHandler)]
        return output

    return start


@pytest.fixture
def output(configure: Configure) -> Output:
    return configure()
