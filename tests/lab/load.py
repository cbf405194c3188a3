"""A steady stream of uniquely numbered events from several clients, each sent once."""

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import urllib3

from tests.lab.ledger import NO_ANSWER, Ledger
from tests.support.builders import BATCH, EVENTS, an_event, now, rfc3339
from tests.support.http import Api
from tests.support.threads import Running

BATCH_EVENTS = 5

Headers = Callable[[], dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Who sends what.

    Args:
        clients: threads, each with a connection of its own.
        batch_share: how many requests of all are batches, from 0 to 1.
        months: days (ISO dates) to spread events over, the present when empty.
    """

    clients: int = 4
    batch_share: float = 0.1
    months: tuple[str, ...] = ()


class Load(Running):
    """Clients that send until told to stop.

    Args:
        api: a client of the service; each thread makes another.
        ledger: gets every answer.
        mix: of clients and events.
        headers: returns what a client shows with a request.
    """

    def __init__(self, api: Api, ledger: Ledger, mix: Mix, headers: Headers = dict) -> None:
        self._ledger = ledger
        self._headers = headers
        self._mix = mix
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(api.another(), seed), name=f"client-{seed}")
            for seed in range(mix.clients)
        ]

    def _send(self, api: Api, seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 - the same mix in every run
        while not self._stopping.is_set():
            is_batch = dice.random() < self._mix.batch_share
            events = [self._event(dice) for _ in range(BATCH_EVENTS if is_batch else 1)]
            started = time.monotonic()
            try:
                path, content = (BATCH, events) if is_batch else (EVENTS, events[0])
                answer = api.post(path, content, body=None, **self._headers())
                status = answer.status
            except urllib3.exceptions.HTTPError:
                status = NO_ANSWER
            self._ledger.note(events, status, started)
            self._ledger.time(started)
            # A steady stream, not a hammer: what is lost in an outage of seconds fits into the queue.
            self._stopping.wait(0.01 if status in {200, 201, 202} else 0.1)
        api.close()

    @staticmethod
    def send_again(api: Api, ledger: Ledger, headers: Headers) -> Counter[int]:
        """Do what clients do with events that nobody acknowledged; return the statuses of the answers."""
        return Counter(
            api.post(EVENTS, event, body=None, **headers()).status for event in ledger.unacknowledged()
        )

    def _event(self, dice: random.Random) -> dict[str, Any]:
        months = self._mix.months
        timestamp = f"{dice.choice(months)}T12:00:00Z" if months else rfc3339(now())
        return an_event(
            event_id=str(uuid.uuid4()),
            event_timestamp=timestamp,
            correlation_id=self._ledger.correlation_id,
        )
