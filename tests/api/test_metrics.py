"""``/metrics``: what a scrape finds, and what traffic does to it."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import func, select

import datastorage
from datastorage.tables import audit_events
from tests.support.builders import BATCH, EVENTS, NOTIFICATIONS, a_notification, an_event, now, rfc3339
from tests.support.exposition import Scrape
from tests.support.isolated import IsolatedService
from tests.support.service import REVISION, ServiceProcess
from tests.support.started import StartService
from tests.support.waiting import eventually
from tests.support.writes import created

DOCUMENTED = Path(datastorage.__file__).parents[1] / "docs" / "metrics.md"


@pytest.fixture(scope="module")
def untouched(start_service: StartService) -> ServiceProcess:
    """A service that nobody has asked anything but its health."""
    return start_service()


@pytest.mark.parametrize("port", ["api", "metrics"])
def test_every_documented_metric_is_there_before_any_traffic(untouched: ServiceProcess, port: str) -> None:
    documented = set(re.findall(r"`(datastorage_\w+)`", DOCUMENTED.read_text(encoding="utf-8")))

    scrape = Scrape(untouched.api if port == "api" else untouched.metrics_api)

    assert scrape.answer.status == 200
    assert scrape.answer.headers["Content-Type"].startswith("text/plain; version=")
    helped = set(re.findall(r"^# HELP (\S+) ", scrape.text, re.MULTILINE))
    typed = set(re.findall(r"^# TYPE (\S+) ", scrape.text, re.MULTILINE))
    assert documented <= helped
    assert helped == typed


def test_scrape_tells_what_the_image_was_built_from(untouched: ServiceProcess) -> None:
    assert Scrape(untouched.api).label_values("build_info", "revision") == {REVISION}


def test_written_event_is_seen_by_whichever_worker_answers(isolated: IsolatedService) -> None:
    api = isolated.api
    before = Scrape(api)

    assert api.post(EVENTS, an_event(event_timestamp=rfc3339(now(seconds=-2)))).status == 201

    for _ in range(6):
        after = Scrape(api)

        def grew(name: str, after: Scrape = after, **labels: str) -> float:
            return after.value(name, **labels) - before.value(name, **labels)

        assert grew("audit_lag_seconds_count", service="gateway") == 1
        assert 2 <= grew("audit_lag_seconds_sum", service="gateway") < 3
        assert grew("write_duration_seconds_count", table="audit_events") == 1
        assert grew("write_total", table="audit_events", status="success") == 1
        assert grew("audit_traces_total", service="gateway", status="success") == 1


def test_crowd_is_counted_and_logged_when_it_has_its_answers(start_service: StartService) -> None:
    crowded = start_service()
    known = created(crowded.api, an_event()).json["event_id"]
    paths = [EVENTS, f"{EVENTS}/{known}"]

    def ask(number: int) -> int:
        if number % 2:
            return crowded.api.get(paths[1]).status
        return created(crowded.api, an_event()).status

    with ThreadPoolExecutor(12) as pool:
        statuses = Counter(pool.map(ask, range(300)))
    scrape = Scrape(crowded.api)
    eventually(lambda: crowded.log.count('"HTTP request"') >= 301)
    lines = crowded.log_lines

    assert statuses == {201: 150, 200: 150}
    assert scrape.value("http_request_total", method="POST", path=EVENTS, status="201") == 151
    assert scrape.value("http_request_total", method="GET", path=f"{EVENTS}/:id", status="200") == 150
    assert scrape.value("audit_traces_total", service="gateway", status="success") == 151
    assert scrape.value("write_total", table="audit_events", status="success") == 151
    logged = Counter(line.get("path") for line in lines if line["msg"] == "HTTP request")
    assert [logged[path] for path in paths] == [151, 150]
    assert len({line["request_id"] for line in lines if line["msg"] == "Audit write finished"}) == 151


def test_batch_counts_each_of_its_events(isolated: IsolatedService) -> None:
    before = Scrape(isolated.api)
    categories = ["gateway", "gateway", "workflow"]

    isolated.api.post(BATCH, [an_event(event_category=category) for category in categories])

    after = Scrape(isolated.api)
    for category, count in (("gateway", 2), ("workflow", 1)):
        labels = {"service": category, "status": "success"}
        assert (
            after.value("audit_traces_total", **labels) - before.value("audit_traces_total", **labels)
            == count
        )
    batches = {"table": "audit_events_batch"}
    assert (
        after.value("write_duration_seconds_count", **batches)
        == before.value("write_duration_seconds_count", **batches) + 1
    )


def test_invalid_event_counts_every_failing_field(isolated: IsolatedService) -> None:
    before = Scrape(isolated.api)

    answer = isolated.api.post(EVENTS, an_event(event_type="x" * 101, event_outcome="ok"))

    after = Scrape(isolated.api)
    assert answer.status == 400
    for labels in (
        {"field": "event_type", "reason": "length_exceeded"},
        {"field": "event_outcome", "reason": "invalid"},
    ):
        grown = after.value("validation_failures_total", **labels)
        assert grown == before.value("validation_failures_total", **labels) + 1
    written = {"table": "audit_events"}
    assert after.value("write_duration_seconds_count", **written) == before.value(
        "write_duration_seconds_count", **written
    )


def test_queries_are_counted_by_their_outcome(isolated: IsolatedService) -> None:
    success = {"operation": "audit_events", "status": "success"}
    before = Scrape(isolated.api)

    isolated.api.get(EVENTS)
    isolated.api.get(f"{EVENTS}/{uuid4()}")
    isolated.api.get(EVENTS, {"limit": "0"})

    after = Scrape(isolated.api)
    assert after.value("query_total", **success) == before.value("query_total", **success) + 2
    duration = {"operation": "audit_events"}
    assert (
        after.value("query_duration_seconds_count", **duration)
        == before.value("query_duration_seconds_count", **duration) + 2
    )


def test_ids_and_unknown_paths_make_no_new_labels(isolated: IsolatedService) -> None:
    api = isolated.api
    api.get(f"{EVENTS}/{uuid4()}")
    api.get("/unknown")
    before = Scrape(api).label_values("http_request_total", "path")

    for number in range(500):
        api.get(f"{EVENTS}/{uuid4()}")
        api.request("GET" if number % 2 else f"X{number}", f"/unknown/{number}")

    after = Scrape(api)
    assert after.label_values("http_request_total", "path") == before
    assert {f"{EVENTS}/:id", "unmatched"} <= before
    assert not {method for method in after.label_values("http_request_total", "method") if "X" in method[:1]}


def test_probes_and_scrapes_are_not_measured(isolated: IsolatedService) -> None:
    for path in ("/health", "/health/live", "/health/ready", "/healthz", "/readyz", "/metrics"):
        isolated.api.get(path)

    paths = Scrape(isolated.api).label_values("http_request_total", "path")

    assert not {path for path in paths if path.startswith(("/health", "/readyz", "/metrics"))}


def test_pool_gauges_come_to_rest(isolated: IsolatedService) -> None:
    for _ in range(20):
        isolated.api.get(EVENTS)

    def is_at_rest() -> bool:
        scrape = Scrape(isolated.api)
        return scrape.value("db_connections_in_use") == 0 and scrape.value(
            "db_connections_open"
        ) == scrape.value("db_connections_idle")

    eventually(is_at_rest)
    scrape = Scrape(isolated.api)
    assert 1 <= scrape.value("db_connections_open") <= scrape.value("db_connections_max") == 24


def test_audit_writes_are_not_audited_themselves(isolated: IsolatedService) -> None:
    of_ours = select(func.count()).where(audit_events.c.event_type.like("datastorage.audit.%"))
    with isolated.owner() as owner:
        before = owner.execute(of_ours).scalar_one()

        isolated.api.post(EVENTS, an_event())
        isolated.api.post(NOTIFICATIONS, a_notification())
        isolated.api.post(EVENTS, {})

        assert owner.execute(of_ours).scalar_one() == before
