"""Connections of the pool that are in use for as long as a test says."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

from sqlalchemy import Connection

from datastorage.platform.db.database import Database

SECONDS = 30


@contextmanager
def held(db: Database) -> Iterator[Connection]:
    """Keep a transaction open in a thread of its own, and lend its connection."""
    lent: Future[Connection] = Future()
    is_over = Event()

    def work(connection: Connection) -> None:
        lent.set_result(connection)
        is_over.wait(SECONDS)

    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(db.read, work)
        try:
            yield lent.result(SECONDS)
        finally:
            is_over.set()
            reading.result(SECONDS)
