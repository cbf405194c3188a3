"""A database whose network accepts everything and answers nothing."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from tests.support.http import Api
from tests.support.service import ServiceProcess
from tests.support.waiting import eventually

BUDGET_SECONDS = 2.5


class BlackHole:
    """Takes every connection, and keeps it."""

    def __init__(self, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self.taken: list[socket.socket] = []
        self._listener = listener

    def take_all(self) -> None:
        """Run until nobody listens any more."""
        while True:
            try:
                self.taken.append(self._listener.accept()[0])
            except OSError:
                return


@contextmanager
def black_hole() -> Iterator[BlackHole]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hole = BlackHole(listener)
        taking = Thread(target=hole.take_all)
        taking.start()
        try:
            yield hole
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            taking.join()
            for connection in hole.taken:
                connection.close()


def test_parallel_checks_of_a_black_hole_fail_in_time_with_one_attempt(
    tmp_path: Path, redis_url: str
) -> None:
    with black_hole() as hole:
        url = f"postgresql://app@127.0.0.1:{hole.port}/none"
        settings = {"SERVER_WORKERS": "1", "LEDGER_ENABLED": "false"}
        service = ServiceProcess(tmp_path, url, redis_url, **settings)
        try:
            service.start(ready=False)
            # The care for partitions, and for the ledger, tries at the start, and again in a minute.
            eventually(lambda: service.log.count("Background work failed") == 2)
            before = len(hole.taken)
            with ThreadPoolExecutor(10) as threads:
                asked = list(threads.map(lambda _: ready(service.api), range(10)))
            attempts = len(hole.taken) - before
            liveness = service.api.get("/health/live").status
        finally:
            service.stop()

    assert {status for status, _ in asked} == {503}
    assert max(seconds for _, seconds in asked) < BUDGET_SECONDS
    assert attempts == 1
    assert liveness == 200


def ready(api: Api) -> tuple[int, float]:
    began = time.monotonic()
    status = api.get("/health/ready").status
    return status, time.monotonic() - began
