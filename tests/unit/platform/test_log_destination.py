"""Lines on their way to a file or a pipe, which is what a service has; other tests read them from memory."""

import fcntl
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import pytest

from datastorage.platform.logs.destination import LineHandler
from datastorage.platform.logs.lines import NO_REQUEST, Entry, JsonLines
from datastorage.platform.logs.output import Output
from datastorage.platform.logs.writer import KEPT_BYTES, MOST_UNFORMATTED, LineWriter
from tests.support.waiting import eventually


def handler_for(stream: TextIO) -> LineHandler:
    handler = LineHandler(stream)
    handler.setFormatter(JsonLines({"service": "datastorage"}))
    return handler


def record(number: int, padding: str = "") -> logging.LogRecord:
    fields: dict[str, Any] = {"name": "a", "levelno": logging.INFO, "msg": f"number {number}"}
    return logging.makeLogRecord(fields | {"padding": padding})


def access_line(padding: str) -> Entry:
    return Entry(0.0, logging.INFO, "HTTP request", "a", {"padding": padding}, NO_REQUEST)


@dataclass
class Pipe:
    """A pipe with our handler at its one end, and nobody who reads at the other."""

    handler: LineHandler
    stream: TextIO
    reader: BinaryIO
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def writer(self) -> LineWriter:
        return self.handler.writer

    def fill(self) -> None:
        """Log until lines wait."""
        while self.writer.write():
            self.handler.handle(record(0, "x" * 1000))

    def read(self) -> list[dict[str, Any]]:
        """Read all lines, with the handler writing the rest."""
        with ThreadPoolExecutor(1) as thread:
            lines = thread.submit(self.reader.readlines)
            self.writer.flush()
            self.handler.close()
            self.stream.close()
            return [json.loads(line) for line in lines.result()]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w", encoding="utf-8") as stream:
        made = Pipe(handler_for(stream), stream, reader)
        made.writer.count_dropped = lambda kind: made.dropped.update([kind])
        yield made
        made.handler.close()


def test_lines_of_many_threads_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "log"

    with path.open("w", encoding="utf-8") as stream, ThreadPoolExecutor(8) as threads:
        handler = handler_for(stream)
        for number in range(400):
            threads.submit(handler.handle, record(number, "\u00e9" * 20 * number))
        threads.shutdown()
        handler.flush()

    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 400
    assert {line["msg"] for line in lines} == {f"number {number}" for number in range(400)}


def test_line_is_written_whole_where_it_does_not_fit_at_once(pipe: Pipe) -> None:
    pipe.handler.handle(record(1, "x" * 1_000_000))

    [line] = pipe.read()

    assert len(line["padding"]) == 1_000_000


def test_nobody_waits_for_the_reader_and_no_line_is_lost(pipe: Pipe) -> None:
    pipe.fill()

    for number in range(1, 101):
        pipe.handler.handle(record(number))
    lines = pipe.read()

    assert [line["msg"] for line in lines][-100:] == [f"number {number}" for number in range(1, 101)]
    assert pipe.dropped == {}


def test_pipe_stays_as_it_is_for_others_who_write_to_it(pipe: Pipe) -> None:
    pipe.fill()

    assert not fcntl.fcntl(pipe.stream, fcntl.F_GETFL) & os.O_NONBLOCK


def test_pipe_that_may_not_be_opened_again_is_not_waited_for_either(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, *_: object) -> int:
        raise PermissionError(path)

    pipe.handler.close()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        pipe.handler = handler_for(pipe.stream)

    pipe.fill()
    pipe.handler.handle(record(1, "x" * 100_000))

    assert pipe.read()[-1]["msg"] == "number 1"


def test_access_lines_are_dropped_first(pipe: Pipe) -> None:
    pipe.fill()
    access, other = access_line("x" * 10_000), record(1, "x" * 10_000)

    for _ in range(300):
        pipe.writer.add(access)
    dropped_access = pipe.dropped["access"]
    pipe.handler.handle(other)
    after_one_other = dict(pipe.dropped)
    for _ in range(300):
        pipe.handler.handle(other)

    kept_bytes = {"access": (300 - dropped_access) * 10_000, "other": (301 - pipe.dropped["other"]) * 10_000}
    assert after_one_other == {"access": dropped_access}
    assert kept_bytes["access"] == pytest.approx(KEPT_BYTES["access"], rel=0.02)
    assert sum(kept_bytes.values()) == pytest.approx(KEPT_BYTES["other"], rel=0.02)
    assert len([line for line in pipe.read() if line["msg"] == "number 1"]) == 301 - pipe.dropped["other"]


def test_room_comes_back_with_the_reader(pipe: Pipe) -> None:
    pipe.fill()
    while not pipe.dropped:
        pipe.writer.add(access_line("x" * 10_000))

    pipe.writer.start()
    with ThreadPoolExecutor(1) as thread:
        lines = thread.submit(pipe.reader.readlines)
        eventually(pipe.writer.write)
        pipe.writer.add(access_line("again"))
        eventually(pipe.writer.write)
        pipe.stream.close()
        pipe.handler.close()

    assert json.loads(lines.result()[-1])["padding"] == "again"
    assert pipe.dropped == {"access": 1}


def test_log_is_blocked_when_no_line_is_taken_for_a_second(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("datastorage.platform.logs.writer.monotonic_seconds", lambda: now)
    pipe.handler.handle(record(0))
    now += 5
    while_nothing_waits = pipe.writer.is_blocked()
    pipe.fill()
    at_first = pipe.writer.is_blocked()
    now += 1.1
    after_a_second = pipe.writer.is_blocked()
    pipe.read()

    assert (while_nothing_waits, at_first, after_a_second) == (False, False, True)
    assert not pipe.writer.is_blocked()


def test_lines_to_a_reader_that_is_gone_are_counted(pipe: Pipe) -> None:
    pipe.reader.close()

    pipe.handler.handle(record(1))

    assert (pipe.dropped, pipe.writer.is_blocked()) == ({"other": 1}, False)


def test_entries_that_never_become_lines_are_not_kept_for_ever(tmp_path: Path) -> None:
    dropped: Counter[str] = Counter()

    def stuck(entry: Entry) -> str:
        if entry.message == "first":
            for _ in range(MOST_UNFORMATTED + 3):
                writer.add(access_line(""))
        return entry.message

    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        writer = LineWriter(Output(stream), stuck)
        writer.count_dropped = lambda kind: dropped.update([kind])
        writer.add(access_line("")._replace(message="first"))

    assert dropped == {"access": 3}


def test_end_of_the_process_helps_a_thread_that_waits_for_the_reader(pipe: Pipe) -> None:
    pipe.fill()
    pipe.writer.start()
    for number in range(1, 11):
        pipe.handler.handle(record(number))

    with ThreadPoolExecutor(4) as ends:
        flushed = [ends.submit(pipe.writer.flush) for _ in range(4)]
        for each in flushed:
            each.result()

    assert pipe.read()[-1]["msg"] == "number 10"
