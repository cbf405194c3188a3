"""The write endpoints of a service configured otherwise: smaller bodies, smaller batches, more categories."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Connection

from tests.support.builders import BATCH, EVENTS, NOTIFICATIONS, OLDER_NAME, a_notification, an_event
from tests.support.http import Api, assert_problem
from tests.support.started import StartService
from tests.support.stored import count_events, stored_event

MAXIMUM_BODY_BYTES = 4096


@pytest.fixture(scope="module")
def configured(start_service: StartService) -> Iterator[Api]:
    service = start_service(
        SERVER_MAX_BODY_BYTES=str(MAXIMUM_BODY_BYTES),
        AUDIT_MAX_BATCH_SIZE="2",
        AUDIT_CATEGORY_CONTRACT="december",
        AUDIT_EXTRA_EVENT_CATEGORIES="signal,enrichment",
        LIMITS_MAX_EVENT_DATA_BYTES="100",
        LIMITS_MAX_EVENT_DATA_DEPTH="2",
        LIMITS_MAX_EVENT_AGE="1h",
        LIMITS_MAX_EVENT_AHEAD="off",
        SERVER_WORKERS="1",
    )
    yield service.api
    service.stop()


def padded(value: Any, size: int) -> bytes:
    """Return ``value`` as JSON of exactly ``size`` bytes, filled with white space."""
    return json.dumps(value).encode().ljust(size)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (EVENTS, an_event()),
        (OLDER_NAME, an_event()),
        (BATCH, [an_event()]),
        (NOTIFICATIONS, a_notification()),
    ],
)
def test_body_of_exactly_the_limit_is_read(configured: Api, path: str, value: Any) -> None:
    assert configured.post(path, body=padded(value, MAXIMUM_BODY_BYTES)).status == 201


@pytest.mark.parametrize("path", [EVENTS, OLDER_NAME, BATCH, NOTIFICATIONS])
def test_body_over_the_limit_is_refused(configured: Api, path: str) -> None:
    answer = configured.post(path, body=padded([], MAXIMUM_BODY_BYTES + 1))

    problem = assert_problem(answer, 413, "request-too-large")
    assert problem["instance"] == path


def test_event_in_a_body_over_the_limit_is_not_stored(configured: Api, owner: Connection) -> None:
    event = an_event()

    answer = configured.post(EVENTS, body=padded(event, MAXIMUM_BODY_BYTES + 1))

    assert_problem(answer, 413, "request-too-large")
    assert count_events(owner, event["correlation_id"]) == 0


def post_in_chunks(api: Api, chunks: list[bytes]) -> tuple[int, Any]:
    connection = HTTPConnection(urlsplit(api.url).netloc, timeout=30)
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    try:
        connection.request("POST", EVENTS, body=iter(chunks), headers=headers, encode_chunked=True)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_chunked_body_within_the_limit_is_read(configured: Api, owner: Connection) -> None:
    event = an_event()
    body = json.dumps(event).encode()

    status, _ = post_in_chunks(configured, [body[:50], body[50:]])

    assert status == 201
    assert count_events(owner, event["correlation_id"]) == 1


def test_chunked_body_over_the_limit_is_refused(configured: Api, owner: Connection) -> None:
    event = an_event()

    status, problem = post_in_chunks(configured, [json.dumps(event).encode(), b" " * MAXIMUM_BODY_BYTES])

    assert status == 413
    assert problem["type"].endswith("/request-too-large")
    assert count_events(owner, event["correlation_id"]) == 0


@pytest.mark.parametrize("category", ["signal", "enrichment", "gateway"])
def test_extra_categories_are_accepted_beside_the_seven(
    configured: Api, owner: Connection, category: str
) -> None:
    event = an_event(event_category=category)

    answer = configured.post(EVENTS, event)

    assert answer.status == 201
    assert stored_event(owner, event["correlation_id"]).actor_id == f"{category}-service"


def test_refusal_names_the_extra_categories_too(configured: Api) -> None:
    answer = configured.post(EVENTS, an_event(event_category="error"))
    assert configured.post(EVENTS, an_event(event_category="aiagent")).status == 400

    problem = assert_problem(answer, 400, "validation-error")
    assert "orchestration, signal, enrichment (got 'error')" in problem["field_errors"]["event_category"]


def test_batch_size_is_configurable(configured: Api) -> None:
    assert configured.post(BATCH, [an_event()] * 2).status == 201
    assert_problem(configured.post(BATCH, [an_event()] * 3), 400, "batch-size-exceeded")


def test_payload_limits_are_configurable(configured: Api) -> None:
    too_big = configured.post(EVENTS, an_event(event_data={"x": "y" * 93}))
    too_deep = configured.post(EVENTS, an_event(event_data={"x": [[]]}))

    assert configured.post(EVENTS, an_event(event_data={"x": ["y" * 90]})).status == 201
    assert "100 bytes" in assert_problem(too_big, 400, "validation-error")["detail"]
    assert "depth of 2" in assert_problem(too_deep, 400, "validation-error")["detail"]
