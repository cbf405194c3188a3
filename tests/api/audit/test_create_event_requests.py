"""``POST /api/v1/audit/events``: the request around the event: media type, encoding, JSON, method, path."""

import json
from typing import Any

import pytest

from tests.support.builders import BATCH, EVENTS, an_event
from tests.support.http import Api, assert_problem


def encoded(**fields: Any) -> bytes:
    return json.dumps(an_event(**fields)).encode()


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "application/cloudevents+json",
        "application/vnd.kubernaut.event.v1+json",
    ],
)
def test_json_media_types_are_accepted(api: Api, content_type: str) -> None:
    answer = api.request("POST", EVENTS, body=encoded(), headers={"Content-Type": content_type})

    assert answer.status == 201


def test_missing_content_type_is_taken_for_json(api: Api) -> None:
    assert api.request("POST", EVENTS, body=encoded()).status == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [EVENTS, BATCH])
def test_other_media_types_are_refused(api: Api, path: str, headers: dict[str, str]) -> None:
    answer = api.request("POST", path, body=encoded(), headers=headers)

    assert_problem(answer, 415, "unsupported-media-type")


def test_content_encoding_identity_is_accepted(api: Api) -> None:
    answer = api.request("POST", EVENTS, body=encoded(), headers={"Content-Encoding": "identity"})

    assert answer.status == 201


@pytest.mark.parametrize(
    "body",
    [
        b"{broken",
        b"",
        b"   ",
        b"\xef\xbb\xbf" + encoded(),
        encoded() + b" {}",
        encoded().replace(b"gateway.signal", b"gateway\xff"),
        encoded().decode().encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=[
        "broken",
        "empty",
        "blank",
        "byte order mark",
        "trailing data",
        "not UTF-8",
        "UTF-16",
        "deep arrays",
        "deep objects",
    ],
)
@pytest.mark.parametrize("path", [EVENTS, BATCH])
def test_body_that_is_not_json_is_refused(api: Api, path: str, body: bytes) -> None:
    problem = assert_problem(api.post(path, body=body), 400, "validation-error")

    assert list(problem["field_errors"]) == ["body"]
    assert "request body is not valid JSON" in problem["field_errors"]["body"]
    assert "not valid JSON" in problem["detail"]


@pytest.mark.parametrize("value", [[], "text", 5, True, None], ids=repr)
def test_body_must_be_an_object(api: Api, value: Any) -> None:
    problem = assert_problem(api.post(EVENTS, value), 400, "validation-error")

    assert list(problem["field_errors"]) == ["body"]
    assert "JSON object" in problem["field_errors"]["body"]
    assert problem["resource"] == "audit_event"


def test_array_is_sent_on_to_the_batch_endpoint(api: Api) -> None:
    problem = assert_problem(api.post(EVENTS, [an_event()]), 400, "validation-error")

    assert "JSON object" in problem["field_errors"]["body"]
    assert BATCH in problem["field_errors"]["body"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_events_are_neither_changed_nor_removed(api: Api, method: str) -> None:
    answer = api.request(method, EVENTS, body=encoded(), headers={"Content-Type": "application/json"})

    assert_problem(answer, 405, "method-not-allowed")
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize(
    "path", [f"{EVENTS}/", f"{BATCH}/", "/api/v1/audit/", "/api/v1/audit/traces", "/api/v1/audit-events"]
)
def test_unknown_path_is_not_found(api: Api, path: str) -> None:
    problem = assert_problem(api.post(path, an_event()), 404, "not-found")

    assert problem["instance"] == path
    assert problem["title"] == "Not Found"


def test_request_id_of_the_client_is_sent_back(api: Api) -> None:
    created = api.request("POST", EVENTS, body=encoded(), headers={"X-Request-ID": "6f0c2f1e"})
    refused = api.request("POST", EVENTS, body=b"{}", headers={"X-Request-ID": "6f0c2f1f"})

    assert created.headers["X-Request-ID"] == "6f0c2f1e"
    assert assert_problem(refused, 400, "validation-error")["request_id"] == "6f0c2f1f"
