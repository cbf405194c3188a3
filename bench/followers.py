"""What a thousand followers of the ledger cost, and whether one that comes back often misses anything."""

import selectors
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from threading import Event, Thread
from typing import Final
from urllib.parse import urlsplit

import click

from bench.audit_rows import EVENTS
from bench.figures import Figure, Goal, Round, figure
from bench.load import Load
from bench.mix import MixTarget
from bench.processors import of_tree
from bench.rounds import Effort, by_turns, latencies
from bench.stand import Stand
from datastorage.platform.clock import monotonic_seconds
from tests.support.builders import an_event
from tests.support.feed import FEED, STREAM, FeedStream
from tests.support.http import Api

FOLLOWERS: Final = 1000
EVENTS_PER_SECOND: Final = 50
TURNS_PER_SECOND: Final = 10
RECONNECTS: Final = 1000
READERS: Final = 20
HELD: Final = 400
CLIENTS: Final = 16
_SECONDS_OF_A_ROUND: Final = 5
_WAITING: Final = f"{FEED}?from=now&wait=30&correlation_id=rr-that-never-comes"


def followers(stand: Stand, effort: Effort) -> list[Figure]:
    """Share of a core of a thousand streams, and the gaps of a reader that comes back a thousand times."""
    seconds = max(effort.seconds, _SECONDS_OF_A_ROUND)
    rounds = []
    with click.progressbar(range(effort.rounds), label=f"{FOLLOWERS:,} followers".ljust(42)) as progress:
        for _ in progress:
            alone = _share_of_core(stand, seconds)
            with following(stand.service_url, FOLLOWERS):
                followed = _share_of_core(stand, seconds)
            rounds.append(Round(followed - alone, alone))
    name = f"share of a core, {FOLLOWERS:,} followers at {EVENTS_PER_SECOND} events/s"
    return [figure(name, "core", rounds, goal=Goal(0.05)), _gaps(stand)]


def _share_of_core(stand: Stand, seconds: float) -> float:
    """Write at a steady rate; return the processor time of the service for each second."""
    api = Api(stand.service_url)
    began, before = monotonic_seconds(), of_tree(stand.service_pid)
    turn = 0
    while (now := monotonic_seconds()) < began + seconds:
        if now >= began + turn / TURNS_PER_SECOND:
            turn += 1
            api.post(f"{EVENTS}/batch", [an_event() for _ in range(EVENTS_PER_SECOND // TURNS_PER_SECOND)])
        else:
            Event().wait(0.005)
    used, took = of_tree(stand.service_pid) - before, monotonic_seconds() - began
    api.close()
    return used / took


def held_answers(stand: Stand, effort: Effort) -> list[Figure]:
    """Requests at a steady rate beside pages that wait, two hundred for each worker, and without them."""
    name = f"{EVENTS_PER_SECOND} requests/s beside {HELD} held answers"
    numbers = count(start=1)

    def steady(seconds: float) -> Load:
        target = MixTarget(stand.service_url, EVENTS_PER_SECOND, next(numbers) * 1_000_000)
        return stand.generator.drive(target, clients=CLIENTS, seconds=seconds)

    def beside(seconds: float) -> Load:
        with following(stand.service_url, HELD, target=_WAITING, accept="application/json"):
            return steady(seconds)

    longer = replace(effort, seconds=max(effort.seconds, 2 * _SECONDS_OF_A_ROUND))
    return latencies(name, by_turns(name, longer, beside, steady), {50: None, 99: Goal(1.2, of="ratio")})


@contextmanager
def following(
    url: str, number: int, *, target: str = f"{FEED}?from=now", accept: str = STREAM
) -> Iterator[None]:
    """Open so many streams, or other requests that last, and read whatever comes on them."""
    parts = urlsplit(url)
    request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n".encode()
    stopping = Event()
    with selectors.DefaultSelector() as selector:
        for _ in range(number):
            sock = socket.create_connection((str(parts.hostname), parts.port or 0), timeout=30)
            sock.sendall(request)
            assert sock.recv(12) == b"HTTP/1.1 200", "a follower was refused"
            selector.register(sock, selectors.EVENT_READ)
        reader = Thread(target=_read, args=(selector, stopping), name="followers")
        reader.start()
        try:
            yield
        finally:
            stopping.set()
            reader.join()
            for key in list(selector.get_map().values()):
                selector.unregister(key.fileobj)
                if isinstance(key.fileobj, socket.socket):
                    key.fileobj.close()


def _read(selector: selectors.BaseSelector, stopping: Event) -> None:
    while not stopping.is_set():
        for key, _ in selector.select(0.1):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.recv(1 << 20)


def _gaps(stand: Stand) -> Figure:
    """Come back a thousand times beside writes; return how many leaves were missed or came twice."""
    api, stopping = Api(stand.service_url), Event()

    def write() -> None:
        while not stopping.is_set():
            api.post(f"{EVENTS}/batch", [an_event() for _ in range(EVENTS_PER_SECOND)])

    writer = Thread(target=write, name="writer")
    writer.start()
    with (
        ThreadPoolExecutor(READERS) as readers,
        click.progressbar(length=RECONNECTS, label="reconnects".ljust(42)) as progress,
    ):
        wrong = 0
        for each in [readers.submit(_wrong_of_one, stand.service_url) for _ in range(READERS)]:
            wrong += each.result()
            progress.update(RECONNECTS // READERS)
    stopping.set()
    writer.join()
    return figure(
        f"gaps and repeats over {RECONNECTS:,} reconnects", "leaves", [Round(wrong, RECONNECTS)], goal=Goal(0)
    )


def _wrong_of_one(url: str) -> int:
    """Come back with the last leaf that was seen; return how often another one came than the next."""
    api = Api(url)
    seen = api.get(FEED, {"from": "now"}).json["tree_size"] - 1
    wrong = 0
    for _ in range(RECONNECTS // READERS):
        stream = FeedStream(api, seen)
        [block] = stream.take(1)
        stream.close()
        wrong += block.id != seen + 1
        seen = int(block.id or 0)
    return wrong
