"""``Prefer: wait=N``: the answer of a write comes when the event has its proof, or as it would have come."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
from sqlalchemy import func, select

from tests.support.builders import BATCH, EVENTS, an_event
from tests.support.golden_log import owner_of
from tests.support.http import Answer
from tests.support.ledger_stand import LEDGER, LedgerStand
from tests.support.waiting import eventually

LOCK = func.hashtextextended("datastorage.ledger", 0)
APPLIED = "Preference-Applied"
LONGEST = 5
"""Seconds that a write takes which does not wait, on any machine; six would show that it did."""


@pytest.fixture
def ready(signed: LedgerStand) -> LedgerStand:
    eventually(lambda: signed.api.get(f"{LEDGER}/checkpoint").status == 200)
    return signed


@pytest.fixture
def held(ready: LedgerStand) -> Iterator[LedgerStand]:
    """A ledger whose lock somebody else holds: nothing is sealed."""
    with owner_of(ready.database) as other:
        other.execute(select(func.pg_advisory_lock(LOCK)))
        yield ready
        other.execute(select(func.pg_advisory_unlock(LOCK)))


def timed(write: Callable[[], Answer]) -> tuple[Answer, float]:
    began = monotonic()
    return write(), monotonic() - began


def test_single_event_is_answered_with_its_proof_at_hand(ready: LedgerStand) -> None:
    answer = ready.api.post(EVENTS, an_event(), Prefer="respond-async, wait=5")

    event_id = answer.json["event_id"]
    assert (answer.status, answer.headers[APPLIED]) == (201, "wait=5")
    assert answer.headers["Link"] == f'</api/v1/audit/events/{event_id}/proof>; rel="proof"'
    assert ready.proof(event_id).status == 200


def test_batch_is_answered_when_all_of_it_is_sealed(ready: LedgerStand) -> None:
    answer = ready.api.post(BATCH, [an_event() for _ in range(500)], Prefer="wait=99")

    assert (answer.status, answer.headers[APPLIED]) == (201, "wait=99")
    assert "Link" not in answer.headers
    assert {ready.proof(each).status for each in answer.json["event_ids"][::100]} == {200}


def test_wait_in_vain_ends_in_the_ordinary_answer(held: LedgerStand) -> None:
    answer, seconds = timed(lambda: held.api.post(EVENTS, an_event(), Prefer="wait=2"))

    assert answer.status == 201
    assert {APPLIED, "Link"}.isdisjoint(answer.headers)
    assert seconds >= 1.5


def test_more_than_may_wait_are_answered_at_once(held: LedgerStand) -> None:
    per_worker, workers = 8, 2
    with ThreadPoolExecutor(per_worker * workers + 1) as clients:
        write = lambda _: timed(lambda: held.api.another().post(EVENTS, an_event(), Prefer="wait=6"))  # noqa: E731
        answers = list(clients.map(write, range(per_worker * workers + 1)))

    assert {answer.status for answer, _ in answers} == {201}
    assert min(seconds for _, seconds in answers) < LONGEST


@pytest.mark.parametrize("prefer", ["wait=abc", "wait=0", "wait=-1", "wait", "waiting=3"])
def test_malformed_preference_is_ignored(held: LedgerStand, prefer: str) -> None:
    answer, seconds = timed(lambda: held.api.post(EVENTS, an_event(), Prefer=prefer))

    assert (answer.status, APPLIED in answer.headers) == (201, False)
    assert seconds < LONGEST
