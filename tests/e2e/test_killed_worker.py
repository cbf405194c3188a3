"""A worker dies in the middle of a write: its client knows that it has no answer, and that is all."""

import signal
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, Engine, text

from tests.support.builders import EVENTS, an_event
from tests.support.exposition import Scrape
from tests.support.processes import descendants
from tests.support.started import StartService
from tests.support.stored import count_events
from tests.support.timeline import Watched, kill
from tests.support.waiting import eventually


def test_client_sees_a_reset_and_nothing_is_stored_twice(
    start_service: StartService, owner: Connection, owner_engine: Engine
) -> None:
    watched = Watched(start_service(SERVER_WORKERS="1", DATABASE_WRITE_LOCK_TIMEOUT="4s"))
    [victim] = descendants(watched.service.pid)
    event = an_event()
    in_transactions = owner_engine.execution_options(isolation_level="READ COMMITTED")

    with ThreadPoolExecutor() as pool, in_transactions.begin() as connection:
        connection.execute(text("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE"))
        request = pool.submit(watched.ask, EVENTS, event)
        eventually(lambda: Scrape(watched.service.metrics_api).value("http_requests_in_flight") == 1)
        kill(victim)
        eventually(lambda: victim not in descendants(watched.service.pid), timeout_seconds=2)
        eventually(lambda: len(descendants(watched.service.pid)) == 1, timeout_seconds=2)
        reply = request.result()

    assert reply.error in {"ConnectionResetError", "RemoteDisconnected"}
    eventually(lambda: watched.ask(EVENTS, an_event()).status == 201)
    assert count_events(owner, event["correlation_id"]) <= 1
    watched.service.signal(signal.SIGTERM)
    assert watched.service.wait() == 0
