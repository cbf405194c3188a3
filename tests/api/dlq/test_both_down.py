"""Without PostgreSQL and Redis nothing is acknowledged; without Redis alone nothing is missed."""

from typing import Any

import pytest

from tests.api.dlq.desk import Desk
from tests.support.builders import BATCH, EVENTS, NOTIFICATIONS, a_notification, an_event, unique
from tests.support.http import assert_problem
from tests.support.isolated import IsolatedService
from tests.support.waiting import eventually

NOTIFICATION_ID = unique("ntf")
CORRELATION_ID = unique()
REQUESTS = [
    (EVENTS, an_event(correlation_id=CORRELATION_ID)),
    (BATCH, [an_event(correlation_id=CORRELATION_ID)]),
    (NOTIFICATIONS, a_notification(notification_id=NOTIFICATION_ID)),
]


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_write_that_nobody_takes_is_refused(
    isolated: IsolatedService, desk: Desk, path: str, body: Any
) -> None:
    isolated.postgres.stop()
    isolated.redis.stop()

    answer = isolated.api.post(path, body)

    problem = assert_problem(answer, 503, "service-unavailable")
    assert problem["detail"] == "database and DLQ both unavailable - please retry"
    assert problem["retry"] is True
    assert problem["instance"] == path
    assert answer.headers["Retry-After"] == "5"
    eventually(lambda: "DLQ fallback also failed - data loss risk" in isolated.service.log)
    isolated.restore()
    assert desk.depths() == (0, 0)
    assert desk.rows(correlation_id=CORRELATION_ID) == 0
    assert desk.notifications(NOTIFICATION_ID) == 0


def test_service_without_redis_writes_and_stays_ready(isolated: IsolatedService) -> None:
    isolated.redis.stop()

    answer = isolated.api.post(EVENTS, an_event())

    assert answer.status == 201
    assert isolated.api.get("/health/ready").status == 200
    # A finding may be told again for a moment.
    eventually(lambda: isolated.api.get("/health").json["redis"] == "unreachable")
    assert isolated.api.get("/health").status == 200
