"""Bodies within every limit of size that are as expensive as they can be, and the memory they take."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import NamedTuple

import psutil

from tests.support.builders import BATCH, EVENTS, an_event
from tests.support.http import Api

MEBIBYTE = 1 << 20
OVERLOADED = 503


class Hostile(NamedTuple):
    """One body, where it goes, and what the answer may be when there is room for it."""

    path: str
    body: bytes
    status: int


def _with_payload(payload: str) -> bytes:
    return json.dumps(an_event(event_data="PAYLOAD")).replace('"PAYLOAD"', payload).encode()


def _with_members(count: int) -> str:
    """Return the text of an event with so many members that no event has."""
    return (
        json.dumps(an_event())[:-1] + "".join(f',"k{number}":{number % 10}' for number in range(count)) + "}"
    )


def hostile_bodies() -> dict[str, Hostile]:
    """Return bodies of six to nine MB."""
    unknown = _with_members(700_000).encode()
    items = ",".join(_with_members(700) for _ in range(1000))
    large = json.dumps([an_event(event_data={"x": "y" * 9000}) for _ in range(1000)])
    deep = '{"x":' + "[" * 4_000_000 + "]" * 4_000_000 + "}"
    return {
        "unknown members": Hostile(EVENTS, unknown, 201),
        "unknown members in a batch": Hostile(BATCH, f"[{items}]".encode(), 201),
        "large batch": Hostile(BATCH, large.encode(), 201),
        "batch of too many": Hostile(BATCH, f"[{','.join(['{}'] * 3_000_000)}]".encode(), 400),
        "many values": Hostile(EVENTS, _with_payload(f'{{"x":[{",".join(["[]"] * 3_000_000)}]}}'), 400),
        "numbers": Hostile(EVENTS, _with_payload(f'{{"x":[{",".join(["1e308"] * 1_500_000)}]}}'), 400),
        "deep nesting": Hostile(EVENTS, _with_payload(deep), 400),
    }


def send_in_turns(api: Api, bodies: dict[str, Hostile], count: int, clients: int) -> dict[str, set[int]]:
    """Send so many bodies, kind by kind in turns, and return which status codes each kind got.

    A body is sent again as long as the service has no room for it (503).
    """
    found: dict[str, set[int]] = {name: set() for name in bodies}

    def send(name: str) -> None:
        sent = bodies[name]
        status = OVERLOADED
        while status == OVERLOADED:
            status = api.post(sent.path, body=sent.body).status
        found[name].add(status)

    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(send, islice(cycle(bodies), count)))
    return found


def memory_mib(pid: int) -> float:
    """Return the memory of a process and its children in MiB; what they share counts once (PSS)."""
    parent = psutil.Process(pid)
    processes = [parent, *parent.children(recursive=True)]
    return sum(each.memory_full_info().pss for each in processes) / MEBIBYTE


@dataclass
class Watch:
    """The most memory that was seen."""

    peak_mib: float = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def look(self, measure: Callable[[], float]) -> None:
        """Look every twentieth of a second until it is over."""
        while not self.is_over.wait(0.05):
            self.peak_mib = max(self.peak_mib, measure())


@contextmanager
def watched_memory(pid: int) -> Iterator[Watch]:
    """Watch the memory of a process and its children."""
    watch = Watch()
    watcher = threading.Thread(target=watch.look, args=(lambda: memory_mib(pid),))
    watcher.start()
    try:
        yield watch
    finally:
        watch.is_over.set()
        watcher.join()
