"""A steady stream of uniquely numbered events from several clients, each sent once."""

import random
import threading
import time
import uuid
from types import TracebackType
from typing import Any, Self

import urllib3

from tests.lab.ledger import NO_ANSWER, Ledger
from tests.support.builders import BATCH, EVENTS, an_event, now, rfc3339
from tests.support.http import Api

BATCH_SHARE = 0.1
BATCH_EVENTS = 5


class Load:
    """Clients that send until told to stop.

    Args:
        url: of the service.
        ledger: gets every answer.
        clients: threads, each with a connection of its own.
        months: first days of months to spread events over (ISO dates), the present when empty.
    """

    def __init__(self, url: str, ledger: Ledger, *, clients: int = 4, months: tuple[str, ...] = ()) -> None:
        self._ledger = ledger
        self._months = months
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(url, seed), name=f"client-{seed}")
            for seed in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _send(self, url: str, seed: int) -> None:
        api = Api(url)
        dice = random.Random(seed)  # noqa: S311 - the same mix in every run
        while not self._stopping.is_set():
            is_batch = dice.random() < BATCH_SHARE
            events = [self._event(dice) for _ in range(BATCH_EVENTS if is_batch else 1)]
            ids = [event["event_id"] for event in events]
            started = time.monotonic()
            try:
                answer = api.post(BATCH, events) if is_batch else api.post(EVENTS, events[0])
                status = answer.status
            except urllib3.exceptions.HTTPError:
                status = NO_ANSWER
            self._ledger.note(ids, status, time.monotonic() - started)
            # A steady stream, not a hammer: what is lost in an outage of seconds fits into the queue.
            self._stopping.wait(0.01 if status in {200, 201, 202} else 0.1)
        api.close()

    def _event(self, dice: random.Random) -> dict[str, Any]:
        timestamp = f"{dice.choice(self._months)}T12:00:00Z" if self._months else rfc3339(now())
        return an_event(
            event_id=str(uuid.uuid4()),
            event_timestamp=timestamp,
            correlation_id=self._ledger.correlation_id,
        )
