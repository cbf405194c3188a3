"""Streams of the feed, and answers that wait: none of them holds a thread, and none loses its place."""

import re
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Connection, func, insert, select

from datastorage.tables import audit_events, audit_unsealed
from tests.api.ledger.conftest import StartLedger
from tests.support.builders import EVENTS, an_event, unique
from tests.support.event_rows import an_event_row
from tests.support.exposition import Scrape
from tests.support.feed import FEED, STREAM, FeedStream, pages
from tests.support.golden_log import owner_of
from tests.support.http import Answer, assert_problem
from tests.support.ledger_stand import LedgerStand
from tests.support.waiting import eventually
from tests.support.writes import batch_created, created

FEW = {"SERVER_WORKERS": "1", "SERVER_THREADS": "2", "LEDGER_MAX_WAITING_WRITES": "1"}
Open = Callable[..., FeedStream]


@pytest.fixture(scope="module")
def stand(start_ledger: StartLedger) -> LedgerStand:
    """One worker with two threads: what holds one shows."""
    return start_ledger(**FEW, FEED_HEARTBEAT="1s", FEED_MAX_FOLLOWERS="10", FEED_POLL_INTERVAL="100ms")


@pytest.fixture
def follow(stand: LedgerStand) -> Iterator[Open]:
    """Open a stream, by the name of the parameters; closed at the end."""
    with ExitStack() as stack:

        def open_stream(*last_event_id: int, **parameters: Any) -> FeedStream:
            stream = FeedStream(stand.api, *last_event_id, **parameters)
            stack.callback(stream.close)
            return stream

        yield open_stream
    eventually(lambda: followers(stand) == 0)


def followers(stand: LedgerStand) -> float:
    return Scrape(stand.service.metrics_api).value("feed_followers", kind="stream")


def closed(stand: LedgerStand, reason: str) -> float:
    return Scrape(stand.service.metrics_api).value("feed_closed_total", reason=reason)


def size_of(stand: LedgerStand) -> int:
    size: int = stand.api.get(FEED, {"from": "now"}).json["tree_size"]
    return size


def test_stream_begins_with_how_soon_a_client_may_come_back(follow: Open) -> None:
    stream = follow(from_=0)

    first = next(iter(stream))

    assert (stream.response.status, first.retry, first.data) == (200, 2000, None)
    assert stream.response.headers["Content-Type"] == STREAM
    assert stream.response.headers["Cache-Control"] == "no-store"


def test_stream_shows_what_there_is_and_then_what_comes(stand: LedgerStand, follow: Open) -> None:
    batch_created(stand.api, [an_event() for _ in range(3)])
    stream = follow(from_=0)
    eventually(lambda: size_of(stand) >= 4)
    there = stream.take(size_of(stand))
    event_id = created(stand.api, an_event()).json["event_id"]

    new = stream.take(1)[0]

    assert [block.id for block in there] == list(range(len(there)))
    assert there[0].event == "statement"
    assert (new.id, new.event) == (len(there), "message")
    assert new.data == stand.api.get(f"{EVENTS}/{event_id}").body.decode()


def test_streams_hold_no_thread(stand: LedgerStand, follow: Open) -> None:
    streams = [follow(from_="now") for _ in range(8)]
    eventually(lambda: followers(stand) == 8)

    event_id = created(stand.api, an_event()).json["event_id"]

    assert {f'"event_id":"{event_id}"' in str(stream.take(1)[0].data) for stream in streams} == {True}


def test_one_more_is_refused(stand: LedgerStand, follow: Open) -> None:
    for _ in range(10):
        follow(from_="now")
    eventually(lambda: followers(stand) == 10)

    for accept in (STREAM, "application/json"):
        answer = stand.api.get(FEED, {"from": "now", "wait": 5}, Accept=accept)

        assert_problem(answer, 503, "followers-busy")
        assert answer.headers["Retry-After"] == "5"


def test_place_is_free_again_when_a_client_asks_for_the_head_alone(stand: LedgerStand) -> None:
    for _ in range(12):
        answer = stand.api.request("HEAD", FEED, params={"from": "now"}, headers={"Accept": STREAM})
        assert answer.status == 200


def test_heartbeat_says_where_a_stream_stands(stand: LedgerStand, follow: Open) -> None:
    created(stand.api, an_event())
    eventually(lambda: size_of(stand) >= 2)
    stream = follow(from_=0, correlation_id=unique())

    beats = (block for block in stream if block.comment == "heartbeat")

    assert next(beats).id == size_of(stand) - 1


def test_stream_resumes_behind_the_last_it_has_seen(stand: LedgerStand, follow: Open) -> None:
    batch_created(stand.api, [an_event() for _ in range(5)])
    eventually(lambda: size_of(stand) >= 6)

    resumed = follow(2, from_=0).take(2)

    assert [block.id for block in resumed] == [3, 4]


@pytest.mark.parametrize("seen", ["x", "-1", "", "1.5", str(2**63)])
def test_last_event_id_is_a_leaf(stand: LedgerStand, seen: str) -> None:
    answer = stand.api.request("GET", FEED, headers={"Accept": STREAM, "Last-Event-ID": seen})

    problem = assert_problem(answer, 400, "validation-error")
    assert list(problem["field_errors"]) == ["Last-Event-ID"]


def test_reader_that_has_seen_more_than_there_is_learns_of_the_loss(stand: LedgerStand) -> None:
    size = size_of(stand)
    answer = stand.api.request("GET", FEED, headers={"Accept": STREAM, "Last-Event-ID": str(size)})

    assert assert_problem(answer, 409, "ledger/beyond-end")["tree_size"] == size


def test_filter_of_a_stream(stand: LedgerStand, follow: Open) -> None:
    ours = unique()
    stream = follow(from_="now", correlation_id=ours)
    other = an_event(correlation_id=unique())
    batch_created(
        stand.api, [other, an_event(correlation_id=ours), an_event(), an_event(correlation_id=ours)]
    )

    found = stream.take(2)

    assert [f'"correlation_id":"{ours}"' in str(block.data) for block in found] == [True, True]


def test_client_that_leaves_is_noticed(stand: LedgerStand, follow: Open) -> None:
    before = closed(stand, "client")
    stream = follow(from_="now")
    eventually(lambda: followers(stand) == 1)

    stream.close()

    eventually(lambda: followers(stand) == 0)
    assert closed(stand, "client") == before + 1


def test_client_of_http_1_0_gets_a_stream_without_chunks(stand: LedgerStand) -> None:
    parts = urlsplit(stand.api.url)
    with socket.create_connection((parts.hostname, parts.port or 0), timeout=20) as sock:
        sock.sendall(f"GET {FEED}?from=0 HTTP/1.0\r\nAccept: {STREAM}\r\n\r\n".encode())
        received = b""
        while b"id: 0\n" not in received:
            received += sock.recv(65536)

    head, _, body = received.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert body.startswith(b"retry: 2000\n\nid: 0\n")


def test_stream_takes_the_way_through_flask_too(start_ledger: StartLedger) -> None:
    """Cross-origin headers are the work of a hook, and hooks see every answer."""
    origin = "https://console.example.org"
    stand = start_ledger(**FEW, SERVER_CORS_ALLOWED_ORIGINS=origin)
    stand.api.shown = {"Origin": origin}
    stream = FeedStream(stand.api, from_=0)

    event_id = created(stand.api, an_event()).json["event_id"]

    assert stream.response.headers["Access-Control-Allow-Origin"] == origin
    assert any(event_id in str(block.data) for block in stream.take(2))
    stream.close()
    eventually(lambda: followers(stand) == 0)


def test_every_committed_event_comes_once_and_in_order(stand: LedgerStand, follow: Open) -> None:
    """Transactions that last, and such as are rolled back, beside a follower."""
    start = size_of(stand)
    stream = follow(from_=start)

    def write(number: int) -> list[str]:
        kept = []
        with owner_of(stand.database) as owner:
            for turn in range(20):
                row = an_event_row()
                is_kept = (turn + number) % 10 != 0
                transaction = owner.execution_options(isolation_level="READ COMMITTED").begin()
                owner.execute(insert(audit_events), row)
                key = {"event_id": row["event_id"], "event_date": row["event_date"]}
                owner.execute(insert(audit_unsealed).values(key))
                owner.execute(select(func.pg_sleep(0.02 * number)))
                (transaction.commit if is_kept else transaction.rollback)()
                kept += [str(row["event_id"])] * is_kept
        return kept

    with ThreadPoolExecutor(3) as writers:
        kept = [event_id for ids in writers.map(write, range(1, 4)) for event_id in ids]
    blocks = stream.take(len(kept))
    eventually(lambda: size_of(stand) == start + len(kept))

    seen = [re.match(r'{"event_id":"([^"]+)"', str(block.data)) for block in blocks]
    assert sorted(match[1] for match in seen if match) == sorted(kept)
    assert [block.id for block in blocks] == list(range(start, start + len(kept)))


def test_no_reader_misses_a_leaf_over_many_reconnects(stand: LedgerStand) -> None:
    start = size_of(stand)
    writers = Thread(target=lambda: [created(stand.api, an_event()) for _ in range(150)])
    writers.start()
    seen = start - 1
    ids: list[int] = []
    while len(ids) < 150:
        stream = FeedStream(stand.api, *([seen] if seen >= 0 else []))
        ids += [int(block.id or 0) for block in stream.take(min(3, 150 - len(ids)))]
        seen = ids[-1]
        stream.close()
    writers.join()

    assert ids == list(range(start, start + 150))


@pytest.mark.parametrize(
    ("text_bytes", "write_timeout"),
    [(20_000, "30s"), (200_000, "1s")],
    ids=["too much unsent", "nothing taken"],
)
def test_follower_that_stops_reading_is_closed_and_disturbs_nobody(
    start_ledger: StartLedger, text_bytes: int, write_timeout: str
) -> None:
    heavy = start_ledger(**FEW, FEED_POLL_INTERVAL="100ms", SERVER_WRITE_TIMEOUT=write_timeout)
    parts = urlsplit(heavy.api.url)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((parts.hostname, parts.port))
        sock.sendall(f"GET {FEED}?from=now HTTP/1.1\r\nHost: x\r\nAccept: {STREAM}\r\n\r\n".encode())
        eventually(lambda: followers(heavy) == 1)
        reader = FeedStream(heavy.api, from_="now")
        events = [an_event(event_data={"text": "x" * text_bytes}) for _ in range(5)]

        def is_closed() -> bool:
            batch_created(heavy.api, [event | {"correlation_id": unique()} for event in events])
            reader.take(5)
            return closed(heavy, "slow") == 1

        eventually(is_closed)
        assert followers(heavy) == 1
    reader.close()


def test_end_of_the_service_ends_streams_and_answers(start_ledger: StartLedger) -> None:
    stand = start_ledger()
    created(stand.api, an_event())
    eventually(lambda: size_of(stand) >= 2)
    place = size_of(stand)
    streams = [FeedStream(stand.api, from_="now") for _ in range(20)]
    with ThreadPoolExecutor(8) as clients:
        held = [clients.submit(_ask, stand, place) for _ in range(8)]
        kind = {"kind": "poll"}
        eventually(lambda: Scrape(stand.service.metrics_api).value("feed_followers", **kind) == 8)
        eventually(lambda: followers(stand) == 20)

        stand.service.signal(signal.SIGTERM)

        pages_held = [each.result(30).json for each in held]
    last = [list(stream)[-1] for stream in streams]
    code = stand.service.wait()

    assert pages_held == [{"data": [], "next": place, "tree_size": place}] * 8
    assert {block.retry for block in last} == {1000}
    assert code == 0


def _ask(stand: LedgerStand, place: int) -> Answer:
    return stand.api.another().get(FEED, {"from": place, "wait": 30})


def test_shorter_ledger_ends_a_stream(start_ledger: StartLedger) -> None:
    stand = start_ledger(**FEW)
    created(stand.api, an_event())
    eventually(lambda: size_of(stand) >= 2)
    stream = FeedStream(stand.api, from_="now")
    eventually(lambda: followers(stand) == 1)
    with owner_of(stand.database) as owner:
        _forget_the_end(owner)

        list(stream)

    eventually(lambda: closed(stand, "shorter") == 1)


def _forget_the_end(owner: Connection) -> None:
    """Do what a fail-over does that has lost the last commits."""
    owner.exec_driver_sql("DELETE FROM ledger_checkpoints")


def test_pages_and_streams_agree(stand: LedgerStand, follow: Open) -> None:
    listed = [item["leaf_index"] for page in pages(stand.api) for item in page["data"]]
    streamed = [block.id for block in follow(from_=0).take(len(listed))]

    assert streamed == listed
    assert {after - before for before, after in pairwise(listed)} == {1}
