"""With ``redis.dlq_require_aof`` nothing is acknowledged that a power cut could take away again."""

from collections.abc import Iterator

import pytest

from tests.api.dlq.conftest import StartProxied
from tests.api.dlq.proxied import ProxiedService
from tests.lab.proxy import Mode
from tests.support.builders import BATCH, EVENTS, NOTIFICATIONS, a_notification, an_event
from tests.support.http import assert_problem


@pytest.fixture
def careful(start_proxied: StartProxied) -> Iterator[ProxiedService]:
    """A service that waits for the append-only file, on a Redis whose settings are put back."""
    proxied = start_proxied(REDIS_DLQ_REQUIRE_AOF="true")
    yield proxied
    proxied.desk.client.config_set("appendfsync", "always")
    proxied.desk.client.config_set("appendonly", "yes")


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_write_is_accepted_when_the_append_only_file_has_it(careful: ProxiedService, policy: str) -> None:
    careful.desk.client.config_set("appendfsync", policy)
    careful.proxy.mode = Mode.REFUSE

    answers = [
        careful.api.post(EVENTS, an_event()),
        careful.api.post(BATCH, [an_event(), an_event()]),
        careful.api.post(NOTIFICATIONS, a_notification()),
    ]

    assert [answer.status for answer in answers] == [202, 202, 202]
    assert careful.desk.depths() == (3, 1)


def test_without_append_only_file_nothing_is_acknowledged(careful: ProxiedService) -> None:
    careful.desk.client.config_set("appendonly", "no")
    careful.proxy.mode = Mode.REFUSE
    event = an_event(event_id="3f0b1c9e-0d4a-4f6e-8a53-5f1f6f7f0a01")

    answers = [
        careful.api.post(EVENTS, event),
        careful.api.post(BATCH, [an_event()]),
        careful.api.post(NOTIFICATIONS, a_notification()),
    ]
    failures = [
        careful.desk.scrape().value("dlq_enqueue_failures_total", stream=stream, reason="not_durable")
        for stream in ("events", "notifications")
    ]
    careful.proxy.mode = Mode.PASS
    careful.desk.wait_until_empty()
    again = careful.api.post(EVENTS, event)

    for answer in answers:
        assert_problem(answer, 503, "service-unavailable")
        assert answer.headers["Retry-After"] == "5"
    assert failures == [2, 1]
    # Redis had taken it, and only could not promise to keep it: to send it again is harmless.
    assert again.status == 200
    assert careful.desk.rows(event_id=event["event_id"]) == 1


def test_without_append_only_file_the_database_alone_is_enough(careful: ProxiedService) -> None:
    careful.desk.client.config_set("appendonly", "no")

    assert careful.api.post(EVENTS, an_event()).status == 201
