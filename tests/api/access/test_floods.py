"""Thousands of bad tokens: they displace no good one, and leave nothing behind (access.md 5, 6.1)."""

import socket
from collections import Counter

import pytest

from tests.api.access.conftest import VERBS, Caller
from tests.support.builders import EVENTS, an_event
from tests.support.http import Api
from tests.support.processes import pss_mib
from tests.support.raw_exchange import opened
from tests.support.review_server import Account, ReviewServer
from tests.support.service import ServiceProcess
from tests.support.started import StartService

ADDRESSES, TOKENS = 100, 5000
TRIES = 8
"""How many of its tokens an address may try in a minute."""
GROWTH_MIB = 10


@pytest.fixture(scope="module")
def flooded(reviews: ReviewServer, start_service: StartService) -> ServiceProcess:
    """A service whose clients come from the addresses that we say."""
    proxied = {"SERVER_TRUSTED_PROXIES": "127.0.0.1/32", "RATE_LIMIT_FAILURES": f"{TRIES}/minute"}
    return start_service(**reviews.settings, **proxied, AUTH_CACHE_TTL="60s", SERVER_WORKERS="1")


def test_thousands_of_bad_tokens_leave_good_ones_cached_and_no_memory_behind(
    flooded: ServiceProcess, reviews: ReviewServer
) -> None:
    reviews.accounts["W"] = Account("system:serviceaccount:kubernaut-system:w", VERBS["W"])
    caller = Caller(flooded.api)
    statuses_of(flooded.api, "warm", TOKENS // 10)
    assert caller.post(EVENTS, an_event(), "W").status == 201
    before = pss_mib(flooded.pid)

    statuses = statuses_of(flooded.api, "bad", TOKENS)

    reviews.forget()
    assert statuses.keys() == {401, 429}
    assert caller.post(EVENTS, an_event(), "W").status == 201
    assert not reviews.counts
    assert pss_mib(flooded.pid) - before <= GROWTH_MIB


def statuses_of(api: Api, token: str, count: int) -> Counter[int]:
    """Try so many different tokens from all addresses in turn, on one connection; count the answers."""
    with opened(api) as connection:
        return Counter(
            _status(connection, f"{token}-{place}", f"198.51.100.{place % ADDRESSES}")
            for place in range(count)
        )


def _status(connection: socket.socket, token: str, address: str) -> int:
    connection.sendall(
        f"GET {EVENTS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"X-Forwarded-For: {address}\r\n\r\n".encode()
    )
    answer = connection.recv(65536)
    while not answer.endswith(b"}"):  # the one object of a problem, which holds no other
        answer += connection.recv(65536)
    return int(answer.split(b" ", 2)[1])
