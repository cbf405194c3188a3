"""Connections that the server or a pooler ends: clients notice nothing, and nothing is stored twice."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import func, select, text

from datastorage.tables import audit_events, resource_action_traces
from tests.lab.proxy import Mode, Proxy
from tests.support.builders import BATCH, EVENTS, NOTIFICATIONS, a_notification, an_event, unique
from tests.support.exposition import Scrape
from tests.support.http import Answer, Api, assert_problem
from tests.support.incident_builders import EXPORT, INCIDENTS, an_incident
from tests.support.isolated import IsolatedService
from tests.support.service import ServiceProcess
from tests.support.workflow_builders import SEARCH, WORKFLOWS, a_search, a_workflow, patch

READS: dict[str, Callable[[Api, str], Answer]] = {
    "one event": lambda api, known: api.get(f"{EVENTS}/{known}"),
    "page": lambda api, _: api.get(EVENTS),
    "counted page": lambda api, _: api.get(EVENTS, {"event_category": "gateway", "offset": 1}),
    "export": lambda api, _: api.get(EVENTS, {"format": "ndjson"}),
    "incidents": lambda api, _: api.get(INCIDENTS),
    "incidents exported": lambda api, _: api.get(EXPORT),
    "workflows": lambda api, _: api.get(WORKFLOWS),
    "search": lambda api, _: api.post(SEARCH, a_search("OOM/high/pod/test/P1")),
}
WRITES: dict[str, Callable[[Api], Answer]] = {
    "event": lambda api: api.post(EVENTS, an_event()),
    "batch": lambda api: api.post(BATCH, [an_event(), an_event()]),
    "notification": lambda api: api.post(NOTIFICATIONS, a_notification()),
    "incident": lambda api: api.post(INCIDENTS, an_incident()),
    "workflow": lambda api: api.post(WORKFLOWS, a_workflow()),
}


@pytest.fixture(scope="module")
def proxied(
    isolated_session: IsolatedService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["Proxied"]:
    """One worker behind a proxy, so that each request meets the connections of the one before."""
    proxy = Proxy(isolated_session.postgres.port)
    url = isolated_session.database.app_url.set(drivername="postgresql", host="127.0.0.1", port=proxy.port)
    service = ServiceProcess(
        tmp_path_factory.mktemp("proxied"),
        url.render_as_string(hide_password=False),
        isolated_session.redis.url.rpartition("/")[0] + "/3",
        SERVER_WORKERS="1",
        # Its retry loop would find a lost connection first.
        REDIS_DLQ_POLL_INTERVAL="10m",
    )
    with service:
        yield Proxied(isolated_session, service, proxy)
    proxy.close()


class Proxied:
    """A service, the proxy to its database, and the servers behind."""

    def __init__(self, isolated: IsolatedService, service: ServiceProcess, proxy: Proxy) -> None:
        self.isolated, self.service, self.proxy = isolated, service, proxy

    @property
    def api(self) -> Api:
        """A client of the service."""
        return self.service.api

    def terminate_backends(self) -> None:
        """End every connection of the service, whether it was used a moment ago or not."""
        terminate_backends(self.isolated)

    def repeats(self, outcome: str = "success") -> float:
        """Return how many requests to the database were repeated."""
        return Scrape(self.api).value("db_repeats_total", outcome=outcome)


def terminate_backends(isolated: IsolatedService) -> None:
    """Do what a pooler's reload does, and wait until the backends are gone."""
    every = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'datastorage_app'"
    with psycopg.connect(isolated.postgres.url("postgres"), autocommit=True) as superuser:
        superuser.execute(every)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("cut", ["terminated", "reset"])
def test_read_after_its_connection_was_cut_is_answered(proxied: Proxied, cut: str, read: str) -> None:
    known = proxied.api.post(EVENTS, an_event()).json["event_id"]
    expected = READS[read](proxied.api, known)
    before = proxied.repeats()

    proxied.terminate_backends() if cut == "terminated" else proxied.proxy.reset_all()
    answer = READS[read](proxied.api, known)

    assert (answer.status, answer.body) == (200, expected.body)
    # None if background work met the loss first, and had every connection renewed.
    assert proxied.repeats() - before in {0, 1}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("cut", ["terminated", "reset"])
def test_write_after_its_connection_was_cut_is_stored(proxied: Proxied, cut: str, write: str) -> None:
    assert WRITES[write](proxied.api).status == 201
    before = proxied.repeats()

    proxied.terminate_backends() if cut == "terminated" else proxied.proxy.reset_all()
    answer = WRITES[write](proxied.api)

    assert answer.status == 201, answer.body
    assert proxied.repeats() - before in {0, 1}


def test_each_worker_survives_the_reload_of_a_pooler(isolated: IsolatedService) -> None:
    """One read, one incident and one event per worker, and more for those that the kernel prefers."""

    def ask() -> list[int]:
        answers = [isolated.api.get(EVENTS) for _ in range(8)]
        answers += [isolated.api.post(INCIDENTS, an_incident()) for _ in range(8)]
        answers += [isolated.api.post(EVENTS, an_event()) for _ in range(8)]
        return [answer.status for answer in answers]

    before = ask()
    terminate_backends(isolated)

    assert ask() == before == [200] * 8 + [201] * 16


def test_renewal_is_counted_once_for_all_connections_that_were_cut(proxied: Proxied) -> None:
    proxied.api.get(EVENTS)
    before = Scrape(proxied.api)

    proxied.terminate_backends()
    proxied.api.get(EVENTS)
    proxied.api.get("/health/ready")
    after = Scrape(proxied.api)

    name = "db_connections_renewed_total"
    reasons = ("shutdown", "lost", "read_only", "plan")
    assert sum(after.value(name, reason=each) - before.value(name, reason=each) for each in reasons) == 1


def test_event_whose_commit_was_not_answered_is_acknowledged_and_stored_once(proxied: Proxied) -> None:
    ours = unique()
    event_id = str(uuid4())
    proxied.api.post(EVENTS, an_event())

    proxied.proxy.mode = Mode.LOSE_ONE_COMMIT_ANSWER
    answer = proxied.api.post(EVENTS, an_event(event_id=event_id, correlation_id=ours))

    assert answer.status in {200, 201}
    assert answer.json["event_id"] == event_id
    assert proxied.proxy.mode is Mode.PASS, "no commit went through the proxy"
    with proxied.isolated.owner() as owner:
        wanted = select(func.count()).where(audit_events.c.correlation_id == ours)
        assert owner.execute(wanted).scalar_one() == 1


def test_incident_whose_commit_was_not_answered_is_refused_and_stored_once(proxied: Proxied) -> None:
    incident = an_incident()
    proxied.api.post(INCIDENTS, an_incident())

    proxied.proxy.mode = Mode.LOSE_ONE_COMMIT_ANSWER
    answer = proxied.api.post(INCIDENTS, incident)

    assert_problem(answer, 503, "service-unavailable")
    with proxied.isolated.owner() as owner:
        wanted = select(func.count()).where(resource_action_traces.c.action_id == incident["action_id"])
        assert owner.execute(wanted).scalar_one() == 1


def test_wider_columns_fail_no_request(proxied: Proxied) -> None:
    """ALTER COLUMN TYPE while the statements are prepared on the connections of the service."""
    known = proxied.api.post(EVENTS, an_event()).json["event_id"]
    workflow = f"{WORKFLOWS}/{proxied.api.post(WORKFLOWS, a_workflow()).json['workflow_id']}"

    def ask() -> list[Answer]:
        read = [proxied.api.get(path) for path in (f"{EVENTS}/{known}", EVENTS, workflow, WORKFLOWS)]
        written = [proxied.api.post(EVENTS, an_event()), patch(proxied.api, workflow, {"status": "active"})]
        return read + written

    for _ in range(8):
        prepared = ask()
    before = Scrape(proxied.api)
    with proxied.isolated.owner() as owner:
        owner.execute(text("ALTER TABLE audit_events ALTER COLUMN resource_name TYPE varchar(300)"))
        owner.execute(text("ALTER TABLE remediation_workflow_catalog ALTER COLUMN status TYPE varchar(40)"))
    altered = ask()
    after = Scrape(proxied.api)

    assert [answer.status for answer in altered] == [200, 200, 200, 200, 201, 200]
    assert altered[0].body == prepared[0].body
    assert after.value("db_connections_renewed_total", reason="plan") == 1
    assert after.value("db_errors_total", reason="partition_failed") == 0
    assert after.value("db_errors_total", reason="schema_mismatch") == 1
    assert proxied.repeats() == before.value("db_repeats_total", outcome="success") + 1
