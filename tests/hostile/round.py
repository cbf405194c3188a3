"""One round: every attempt is sent, and everything that came back or was stored is judged."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import redis
from sqlalchemy import Connection, func, select

from datastorage.platform.web import json
from datastorage.tables import metadata
from tests.hostile.attempts import GOOD, WHOAMI, Attempt
from tests.hostile.credentials import REVOKED, Installation
from tests.hostile.framings import PLACE
from tests.support.http import Api

SECONDS: Final = 10
_PROBLEM: Final = b"application/problem+json"
_PAGE: Final = b"text/html; charset=utf-8"


class Reply(NamedTuple):
    """One answer on a connection."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes


def attack(api: Api, installed: Installation, attempts: Sequence[Attempt]) -> list[str]:
    """Send every attempt; return what should not have happened."""
    _spend(api, installed)
    return [
        f"{each.what}, {each.credential}: {each.line}: {fault}"
        for each in attempts
        for fault in _faults(each, _sent(api, _filled(each, installed)))
    ]


def _spend(api: Api, installed: Installation) -> None:
    """Show a token that is good, and take it away."""
    name, _, value = installed.shown[REVOKED].decode().strip().partition(": ")
    api.get(WHOAMI, None, **{name: value})
    installed.revoke()


def _filled(attempt: Attempt, installed: Installation) -> bytes:
    return attempt.data.replace(PLACE, installed.shown[attempt.credential]).replace(GOOD, installed.good)


def _sent(api: Api, data: bytes) -> bytes:
    parts = urlsplit(api.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=SECONDS) as connection:
        try:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:
            return b"the connection was reset"
        except TimeoutError:
            return b"no answer in time"


def _faults(attempt: Attempt, received: bytes) -> Iterator[str]:
    if not received.startswith(b"HTTP/1."):
        yield f"answered {received[:60]!r}"
        return
    replies = list(_replies(received, is_head=attempt.data.startswith(b"HEAD ")))
    for place, reply in enumerate(replies):
        if reply.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            yield f"500 {reply.body[:200]!r}"
        elif reply.status >= HTTPStatus.BAD_REQUEST:
            if not (attempt.is_for_a_page and reply.headers.get(b"content-type") == _PAGE):
                yield from _faults_of_problem(reply, is_head=attempt.data.startswith(b"HEAD "))
        elif not attempt.is_open and not (attempt.comes_second and place == 0):
            yield f"{reply.status} {reply.body[:200]!r}"
    if attempt.comes_second and len(replies) != 2:
        yield f"{len(replies)} answers"


def _faults_of_problem(reply: Reply, *, is_head: bool) -> Iterator[str]:
    if reply.headers.get(b"content-type") != _PROBLEM:
        yield f"{reply.status} is {reply.headers.get(b'content-type')!r}"
    elif not is_head:
        problem = json.decode(reply.body, "problem")
        if problem["status"] != reply.status or not problem["type"].startswith(
            "https://kubernaut.ai/problems/"
        ):
            yield f"{reply.status} says {reply.body[:200]!r}"


def _replies(received: bytes, *, is_head: bool) -> Iterator[Reply]:
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        pairs = (line.partition(b":") for line in lines[1:])
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        length = 0 if is_head else int(headers.get(b"content-length", b"0"))
        yield Reply(int(lines[0].split()[1]), headers, received[:length])
        received = received[length:]


def counted(owner: Connection, queue_url: str) -> Mapping[str, int]:
    """Return how many rows each table has, and how long each stream of the queue is.

    What waits for its leaf gets it whoever calls, so the two tables count as one, and sealing not at all.
    """
    rows = {
        table.name: owner.execute(select(func.count()).select_from(table)).scalar_one()
        for table in metadata.sorted_tables
    }
    for sealed in ("ledger_tiles", "ledger_checkpoints", "ledger_statements"):
        del rows[sealed]
    rows["ledger_entries"] += rows.pop("audit_unsealed")
    with redis.Redis.from_url(queue_url) as client:
        streams = {str(key): client.xlen(key) for key in client.scan_iter(_type="stream")}
    return rows | streams
