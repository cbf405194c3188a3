"""Reads of audit records leave an event of their own, which nobody waits for (access.md 8.2)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, NullPool, Row, create_engine, select, text

from datastorage.tables import audit_events
from tests.api.access.conftest import VERBS, Caller
from tests.support.builders import EVENTS, an_event, unique
from tests.support.exposition import Scrape
from tests.support.http import assert_problem
from tests.support.isolated import IsolatedService
from tests.support.proxy import ANA, GATEWAY, USER, WRITER, behind_proxy
from tests.support.review_server import Account, ReviewServer
from tests.support.started import StartService
from tests.support.stored import count_events
from tests.support.waiting import eventually

VISIBLE_SECONDS = 5
READS = 3000
LONGEST_READ_SECONDS = 2.0
"""A read that waited for its event would wait for the lock, or for Redis: three seconds at least."""


@pytest.fixture(scope="module")
def audited(start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> Caller:
    """A client of a service that audits what people read."""
    settings = behind_proxy(tmp_path_factory.mktemp("policy"))
    return Caller(start_service(**settings, AUTH_AUDIT_READS="people").api)


@pytest.fixture(scope="module")
def audited_all(start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> Caller:
    """The same, but it audits everybody."""
    settings = behind_proxy(tmp_path_factory.mktemp("policy")) | {"AUTH_MODE": "proxy,none"}
    return Caller(start_service(**settings, AUTH_AUDIT_READS="all").api)


def named(caller: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return a request id of its own, and the headers of a request with it."""
    request_id = unique("req")
    return request_id, dict(caller) | {"X-Request-ID": request_id}


def traces(owner: Connection, request_id: str) -> list[Row[Any]]:
    found = select(audit_events).where(audit_events.c.correlation_id == f"read-{request_id}")
    return list(owner.execute(found))


def the_trace(owner: Connection, request_id: str) -> Row[Any]:
    """Return the event of a read, as soon as it is there."""
    eventually(lambda: bool(traces(owner, request_id)), VISIBLE_SECONDS)
    [trace] = traces(owner, request_id)
    return trace


def wait_for_the_journal(caller: Caller, owner: Connection) -> None:
    """Return when everything is stored that was submitted before: events are stored in order."""
    request_id, headers = named(ANA)
    caller.get(EVENTS, **headers)
    the_trace(owner, request_id)


def test_page_that_a_person_reads_leaves_one_event(audited: Caller, owner: Connection) -> None:
    event = an_event()
    assert audited.post(EVENTS, event, **ANA).status == 201
    correlation_id = event["correlation_id"]
    request_id, headers = named(ANA)

    answer = audited.get(f"{EVENTS}?correlation_id={correlation_id}&limit=7", **headers)

    assert answer.status == 200
    trace = the_trace(owner, request_id)
    assert (trace.event_type, trace.event_category) == ("datastorage.audit.read", "workflow")
    assert (trace.event_action, trace.event_outcome) == ("read", "success")
    assert (trace.actor_type, trace.actor_id) == ("user", "ana")
    assert (trace.resource_type, trace.resource_id) == ("audit_record", correlation_id)
    assert trace.event_data == {
        "event_type": "datastorage.audit.read",
        "method": "GET",
        "route": EVENTS,
        "status": 200,
        "rows": 1,
        "filters": {"correlation_id": correlation_id, "limit": "7"},
        "remote_addr": "127.0.0.1",
        "mode": "proxy",
        "request_id": request_id,
    }
    assert count_events(owner, correlation_id) == 1


def test_refused_person_leaves_one_too(audited: Caller, owner: Connection) -> None:
    request_id, headers = named(WRITER)

    assert_problem(audited.get(EVENTS, **headers), 403, "forbidden")

    trace = the_trace(owner, request_id)
    assert (trace.event_outcome, trace.actor_id) == ("failure", WRITER[USER])
    assert (trace.event_data["status"], trace.event_data["rows"]) == (403, None)


def test_event_that_is_looked_up_is_named(audited: Caller, owner: Connection) -> None:
    event_id, unknown = audited.post(EVENTS, an_event(), **ANA).json["event_id"], str(uuid4())
    found, found_headers = named(ANA)
    missed, missed_headers = named(ANA)

    assert audited.get(f"{EVENTS}/{event_id}", **found_headers).status == 200
    assert audited.get(f"{EVENTS}/{unknown}", **missed_headers).status == 404

    trace = the_trace(owner, found)
    assert (trace.resource_id, trace.event_outcome, trace.event_data["rows"]) == (event_id, "success", 1)
    assert trace.event_data["route"] == f"{EVENTS}/<event_id>"
    trace = the_trace(owner, missed)
    assert (trace.resource_id, trace.event_outcome, trace.event_data["rows"]) == (unknown, "failure", None)


def test_export_does_not_know_how_many_rows_it_will_show(audited: Caller, owner: Connection) -> None:
    request_id, headers = named(ANA)

    assert audited.get(f"{EVENTS}?limit=1&format=ndjson", **headers).status == 200

    trace = the_trace(owner, request_id)
    assert (trace.resource_id, trace.event_outcome) == ("*", "success")
    assert trace.event_data["rows"] is None
    assert trace.event_data["filters"] == {"limit": "1", "format": "ndjson"}


@pytest.mark.parametrize(
    ("asked", "resource_id", "filters"),
    [
        ("?correlation_id=%ff", "*", {}),
        (f"?correlation_id={'x' * 300}", "x" * 255, {"correlation_id": "x" * 256}),
        ("/%00", "\N{REPLACEMENT CHARACTER}", {}),
    ],
    ids=["broken encoding", "too long", "NUL in the path"],
)
def test_whatever_is_asked_leaves_what_can_be_stored(
    audited: Caller, owner: Connection, asked: str, resource_id: str, filters: dict[str, str]
) -> None:
    request_id, headers = named(ANA)

    answer = audited.get(EVENTS + asked, **headers)

    trace = the_trace(owner, request_id)
    assert (trace.resource_id, trace.event_data["status"]) == (resource_id, answer.status)
    assert trace.event_data["filters"] == filters


def test_services_strangers_and_other_routes_leave_none(audited: Caller, owner: Connection) -> None:
    quiet = [named(GATEWAY), named({}), named(ANA)]

    assert audited.get(EVENTS, **quiet[0][1]).status == 200
    assert audited.get(EVENTS, **quiet[1][1]).status == 401
    assert audited.get("/api/v1/workflows", **quiet[2][1]).status == 200

    wait_for_the_journal(audited, owner)
    assert [traces(owner, request_id) for request_id, _ in quiet] == [[], [], []]


def test_everybody_leaves_one_where_all_are_audited(audited_all: Caller, owner: Connection) -> None:
    requests = [named(each) for each in (ANA, GATEWAY, {})]

    assert [audited_all.get(EVENTS, **headers).status for _, headers in requests] == [200] * 3

    found = [the_trace(owner, request_id) for request_id, _ in requests]
    actors = [(trace.actor_type, trace.actor_id, trace.event_data["mode"]) for trace in found]
    assert actors == [
        ("user", "ana", "proxy"),
        ("service", GATEWAY[USER], "proxy"),
        ("user", "anonymous", "none"),
    ]


def test_nobody_leaves_one_unless_it_is_asked_for(
    start_service: StartService, audited: Caller, owner: Connection
) -> None:
    request_id, headers = named({})

    assert start_service().api.request("GET", EVENTS, headers=headers).status == 200

    wait_for_the_journal(audited, owner)
    assert traces(owner, request_id) == []


def test_api_server_says_who_is_a_person(
    start_service: StartService, reviews: ReviewServer, owner: Connection
) -> None:
    settings = reviews.settings | {"AUTH_AUDIT_READS": "people", "SERVER_WORKERS": "1"}
    caller = Caller(start_service(**settings).api)
    reviews.accounts["service"] = Account("system:serviceaccount:kubernaut-system:r", VERBS["R"])
    reviews.accounts["ana"] = Account("ana@example.org", VERBS["R"])
    reviews.accounts["bob"] = Account("bob@example.org", VERBS["N"])
    asked = [(token, *named({})) for token in ("service", "bob", "ana")]

    statuses = [caller.get(EVENTS, token, **headers).status for token, _, headers in asked]

    assert statuses == [200, 403, 200]
    [of_service, of_bob, of_ana] = [request_id for _, request_id, _ in asked]
    assert the_trace(owner, of_ana).actor_id == "ana@example.org"
    assert the_trace(owner, of_bob).event_outcome == "failure"
    assert traces(owner, of_service) == []


@contextmanager
def inserts_locked(isolated: IsolatedService) -> Iterator[None]:
    """Let no event be stored until the block ends; reads go on."""
    engine = create_engine(isolated.database.owner_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE audit_events IN SHARE MODE"))
        yield
    engine.dispose()


def test_reads_go_on_and_lose_their_events_while_none_can_be_stored(
    isolated: IsolatedService, tmp_path: Path
) -> None:
    settings = {"AUTH_AUDIT_READS": "all", "SERVER_WORKERS": "1"}
    with isolated.another_service(tmp_path, **settings) as service, inserts_locked(isolated):
        isolated.redis.stop()
        durations = []
        for _ in range(READS):
            began = monotonic()
            assert service.api.get(f"{EVENTS}?limit=1&include_total=false").status == 200
            durations.append(monotonic() - began)

        def counted(outcome: str) -> float:
            return Scrape(service.metrics_api).value("audit_reads_total", outcome=outcome)

        eventually(lambda: counted("submitted") + counted("dropped") == READS)
        assert counted("dropped") > 0
        assert max(durations) < LONGEST_READ_SECONDS
        eventually(lambda: '"event_type":"datastorage.audit.read"' in service.log)
