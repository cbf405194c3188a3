"""Lines on their way to a file or a pipe, which is what a service has; other tests read them from memory."""

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

from datastorage.platform.logs.destination import MOST_WAITING, LineHandler
from datastorage.platform.logs.lines import JsonLines


def handler_for(stream: TextIO) -> LineHandler:
    return LineHandler(stream, JsonLines({"service": "datastorage"}))


def entry(number: int, padding: str) -> logging.LogRecord:
    fields: dict[str, Any] = {"name": "a", "levelno": logging.INFO, "msg": f"number {number}"}
    return logging.makeLogRecord(fields | {"padding": padding})


def test_lines_of_many_threads_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "log"

    with path.open("w", encoding="utf-8") as stream, ThreadPoolExecutor(8) as threads:
        handler = handler_for(stream)
        for number in range(400):
            threads.submit(handler.handle, entry(number, "\u00e9" * 20 * number))
        threads.shutdown()

    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 400
    assert {line["msg"] for line in lines} == {f"number {number}" for number in range(400)}


def test_line_is_written_whole_where_it_does_not_fit_at_once() -> None:
    reading, writing = os.pipe()
    with (
        os.fdopen(reading, encoding="utf-8") as reader,
        os.fdopen(writing, "w", encoding="utf-8") as stream,
        ThreadPoolExecutor(1) as thread,
    ):
        received = thread.submit(reader.readline)

        handler_for(stream).handle(entry(1, "x" * 1_000_000))

        assert len(json.loads(received.result())["padding"]) == 1_000_000


def test_only_the_thread_that_is_writing_waits_for_the_reader() -> None:
    reading, writing = os.pipe()
    with (
        ThreadPoolExecutor(2) as threads,
        os.fdopen(writing, "w", encoding="utf-8") as stream,
        os.fdopen(reading, "rb") as reader,
    ):
        handler = handler_for(stream)
        stuck = threads.submit(handler.handle, entry(0, "x" * 1_000_000))
        beginning = reader.read(1)  # so it is writing, and the pipe is full again

        others = [threads.submit(handler.handle, entry(number, "")) for number in (1, 2, 3)]
        written = [other.result(timeout=10) for other in others]

        assert written == [True] * 3
        assert not stuck.done()
        lines = [beginning + reader.readline(), *(reader.readline() for _ in others)]
        assert [json.loads(line)["msg"] for line in lines] == [f"number {number}" for number in range(4)]


def test_line_that_waits_goes_before_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "log"

    with path.open("w", encoding="utf-8") as stream:
        handler = handler_for(stream)
        handler.say("first", waits=True)
        assert path.read_text(encoding="utf-8") == ""
        handler.handle(entry(2, ""))

    first, second = path.read_text(encoding="utf-8").splitlines()
    assert first == "first"
    assert json.loads(second)["msg"] == "number 2"


def test_lines_that_wait_are_written_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"

    with path.open("w", encoding="utf-8") as stream:
        handler = handler_for(stream)
        handler.say("last", waits=True)
        handler.flush()
        assert path.read_text(encoding="utf-8") == "last\n"


def test_no_more_than_a_thousand_lines_wait(tmp_path: Path) -> None:
    path = tmp_path / "log"

    with path.open("w", encoding="utf-8") as stream:
        handler = handler_for(stream)
        for number in range(MOST_WAITING + 1):
            handler.say(f"number {number}", waits=True)

    assert len(path.read_text(encoding="utf-8").splitlines()) == MOST_WAITING + 1
