"""What happens to those who know the clients: an API server that is gone or hangs, keys that change."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.faults import FAULT_SECONDS, pause
from tests.lab.guards import CACHE_SECONDS, STRANGER, issuer_of, server_of
from tests.lab.stand import Stand
from tests.support.builders import EVENTS, an_event
from tests.support.http import assert_problem
from tests.support.issuer import Issuer
from tests.support.waiting import eventually

STALE = "Writes accepted on an old review"
UNKNOWN_KEY_SECONDS = 31
"""How often a key that nobody knows may be fetched, and a second more."""


@contextmanager
def api_server_killed(stand: Stand) -> Iterator[None]:
    """The API server refuses connections, for longer than its answers are kept."""
    server = server_of(stand.guard)
    server.stop()
    _writes_go_on_and_strangers_do_not_begin(stand)
    server.start()
    yield
    _stranger_is_let_in(stand)


@contextmanager
def api_server_hung(stand: Stand) -> Iterator[None]:
    """The API server takes reviews and answers none."""
    server = server_of(stand.guard)
    server.may_answer.clear()
    _writes_go_on_and_strangers_do_not_begin(stand)
    server.may_answer.set()
    yield
    _stranger_is_let_in(stand)


def _writes_go_on_and_strangers_do_not_begin(stand: Stand) -> None:
    eventually(lambda: STALE in stand.service.log, CACHE_SECONDS + 10)
    answer = stand.service.api.post(EVENTS, an_event(), Authorization=f"Bearer {STRANGER}")
    assert_problem(answer, 503, "auth-unavailable")
    assert answer.headers["Retry-After"] == "2"
    stand.hold(FAULT_SECONDS)


def _stranger_is_let_in(stand: Stand) -> None:
    """Ask whether a token is taken that was not seen before."""
    answer = stand.service.api.post(EVENTS, an_event(), Authorization=f"Bearer {STRANGER}")
    assert answer.status == 201, answer.body


@contextmanager
def keys_rotated(stand: Stand) -> Iterator[None]:
    """The issuer signs with a new key, twice; older keys stay published."""
    _rotate(issuer_of(stand.guard), "second")
    pause(UNKNOWN_KEY_SECONDS)
    _rotate(issuer_of(stand.guard), "third")
    pause(FAULT_SECONDS)
    yield


def _rotate(issuer: Issuer, key_id: str) -> None:
    before = issuer.fetches
    issuer.rotate(key_id)
    eventually(lambda: issuer.fetches > before)
