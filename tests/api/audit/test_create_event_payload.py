"""``POST /api/v1/audit/events``: ``event_data`` and ``event_metadata``."""

import json
from typing import Any

import pytest
from sqlalchemy import Connection

from tests.support.builders import BATCH, EVENTS, an_event, unique
from tests.support.http import Answer, Api, assert_problem
from tests.support.stored import count_events, stored_event

MAXIMUM_BYTES = 1_048_576
MAXIMUM_DEPTH = 32


def post_with_payload(api: Api, payload: str) -> Answer:
    """Send ``payload`` to the letter: no encoder of ours tidies it up."""
    rest = json.dumps(an_event(event_data=None))
    return api.post(EVENTS, body=rest.replace('"event_data": null', f'"event_data": {payload}').encode())


def read_payload(api: Api, answer: Answer) -> bytes:
    """Return the payload of a created event as it is sent to readers."""
    assert answer.status == 201, answer.body
    body = api.get(f"{EVENTS}/{answer.json['event_id']}").body
    return body.partition(b'"event_data":')[2].removesuffix(b"}")


def of_bytes(count: int) -> dict[str, str]:
    """Return an object of exactly ``count`` bytes as compact JSON."""
    return {"x": "y" * (count - len('{"x":""}'))}


def nested(depth: int, innermost: Any = 1) -> dict[str, Any]:
    """Return objects and arrays in turn, ``depth`` levels of them."""
    value = innermost
    for level in range(depth - 1):
        value = [value] if level % 2 else {"x": value}
    return {"x": value}


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"alert_name": "EtcdHighCommitLatency", "is_duplicate": False},
        {
            "version": "1.0",
            "service": "gateway",
            "operation": "x",
            "status": "ok",
            "payload": {"a": [1, None]},
        },
        {"q": "'; DROP TABLE audit_events; --", "h": "<script>alert(1)</script>", "<b>": "&amp;"},
        {"scripts": "بيئة 生产 🚀 e\u0301", "": "empty name", "a.b": "dotted"},
        {"text": "\\u0000 is not a NUL, nor is \\\\u0000"},
    ],
    ids=["empty", "flat", "envelope", "markup", "scripts", "backslashes"],
)
def test_payload_comes_back_unchanged(api: Api, payload: dict[str, Any]) -> None:
    answer = api.post(EVENTS, an_event(event_data=payload))

    assert json.loads(read_payload(api, answer)) == payload


def test_statements_in_a_payload_are_only_text(api: Api, owner: Connection) -> None:
    event = an_event(correlation_id=unique("'); DELETE FROM audit_events; --"), event_data={"q": "' OR 1=1"})

    answer = api.post(EVENTS, event)

    assert answer.status == 201
    assert stored_event(owner, event["correlation_id"]).event_data == {"q": "' OR 1=1"}


@pytest.mark.parametrize(
    "number",
    ["9007199254740993", "-9007199254740993", "18446744073709551616", "123456789012345678901234567890", "0"],
)
def test_integers_of_any_size_keep_their_value(api: Api, number: str) -> None:
    answer = post_with_payload(api, f'{{"n":{number}}}')

    assert read_payload(api, answer) == f'{{"n": {number}}}'.encode()


@pytest.mark.parametrize(
    "number", ["0.1", "-2.5e-3", "1e23", "1.7976931348623157e308", "0.30000000000000004"]
)
def test_other_numbers_keep_the_precision_of_a_double(api: Api, number: str) -> None:
    answer = post_with_payload(api, f'{{"n":{number}}}')

    assert json.loads(read_payload(api, answer), parse_int=float) == {"n": float(number)}


def test_last_of_repeated_names_wins(api: Api) -> None:
    answer = post_with_payload(api, '{"n":1, "n":2}')

    assert json.loads(read_payload(api, answer)) == {"n": 2}


@pytest.mark.parametrize("name", ["event_data", "event_metadata"])
@pytest.mark.parametrize("value", ["text", 5, 1.5, True, [1], []], ids=str)
def test_payload_must_be_an_object(api: Api, name: str, value: Any) -> None:
    problem = assert_problem(api.post(EVENTS, an_event(**{name: value})), 400, "validation-error")

    assert problem["field_errors"] == {name: "must be a JSON object"}


def test_largest_payload_is_stored(api: Api) -> None:
    event = an_event(event_data=of_bytes(MAXIMUM_BYTES))

    assert api.post(EVENTS, event).status == 201


@pytest.mark.parametrize(
    "payloads",
    [
        {"event_data": of_bytes(MAXIMUM_BYTES + 1)},
        {"event_data": {"x": "é" * (MAXIMUM_BYTES // 2)}},
        {"event_data": of_bytes(MAXIMUM_BYTES // 2), "event_metadata": of_bytes(MAXIMUM_BYTES // 2 + 1)},
    ],
    ids=["one byte too many", "two bytes per letter", "together with the metadata"],
)
def test_payload_over_the_size_limit_is_refused(
    api: Api, owner: Connection, payloads: dict[str, Any]
) -> None:
    event = an_event(**payloads)

    problem = assert_problem(api.post(EVENTS, event), 400, "validation-error")

    assert "exceeds the maximum size" in problem["field_errors"]["event_data"]
    assert count_events(owner, event["correlation_id"]) == 0


def test_payload_and_metadata_may_fill_the_limit_together(api: Api) -> None:
    half = of_bytes(MAXIMUM_BYTES // 2)

    assert api.post(EVENTS, an_event(event_data=half, event_metadata=half)).status == 201


def test_metadata_over_the_size_limit_is_refused(api: Api) -> None:
    event = an_event(event_metadata=of_bytes(MAXIMUM_BYTES + 1))

    problem = assert_problem(api.post(EVENTS, event), 400, "validation-error")

    assert "exceeds the maximum size" in problem["field_errors"]["event_metadata"]


@pytest.mark.parametrize("name", ["event_data", "event_metadata"])
@pytest.mark.parametrize(("number", "count"), [("1e308", 3_400), ("1e-300", 3_500), ("-1.5e22", 45_000)])
def test_numbers_count_by_their_plain_form(api: Api, name: str, number: str, count: int) -> None:
    event = json.dumps(an_event(**{name: {"x": "NUMBERS"}}))

    answer = api.post(EVENTS, body=event.replace('"NUMBERS"', f"[{','.join([number] * count)}]").encode())

    problem = assert_problem(answer, 400, "validation-error")
    assert list(problem["field_errors"]) == [name]
    assert "exceeds the maximum size of 1048576 bytes" in problem["field_errors"][name]


def test_item_of_a_batch_counts_its_numbers_too(api: Api) -> None:
    answer = api.post(BATCH, [an_event(), an_event(event_data={"x": [1e308] * 3_400})])

    assert list(assert_problem(answer, 400, "validation-error")["field_errors"]) == ["[1].event_data"]


def test_numbers_of_both_documents_count_together(api: Api) -> None:
    half = {"x": [1e308] * 1_700}

    answer = api.post(EVENTS, an_event(event_data=half, event_metadata=half))

    problem = assert_problem(answer, 400, "validation-error")
    assert "with event_metadata exceeds the maximum size" in problem["field_errors"]["event_data"]


def test_most_large_numbers_are_read_back_within_the_limit(api: Api) -> None:
    answer = api.post(EVENTS, an_event(event_data={"x": [1e308] * 3_300}))

    assert len(read_payload(api, answer)) <= 1.1 * MAXIMUM_BYTES


@pytest.mark.parametrize("name", ["event_data", "event_metadata"])
def test_deepest_payload_is_stored(api: Api, name: str) -> None:
    payload = nested(MAXIMUM_DEPTH)

    answer = api.post(EVENTS, an_event(**{name: payload}))

    assert answer.status == 201
    assert api.get(f"{EVENTS}/{answer.json['event_id']}").json[name] == payload


@pytest.mark.parametrize("name", ["event_data", "event_metadata"])
@pytest.mark.parametrize("depth", [MAXIMUM_DEPTH + 1, 200])
def test_payload_over_the_depth_limit_is_refused(api: Api, name: str, depth: int) -> None:
    event = an_event(**{name: nested(depth)})

    problem = assert_problem(api.post(EVENTS, event), 400, "validation-error")

    assert "exceeds the maximum nesting depth" in problem["field_errors"][name]


@pytest.mark.parametrize("name", ["event_data", "event_metadata"])
@pytest.mark.parametrize(
    "payload",
    [{"x": "a\0b"}, {"a\0b": 1}, {"x": [{"y": ["\0"]}]}, {"x": "\\\0"}],
    ids=["value", "name", "deep inside", "after a backslash"],
)
def test_nul_inside_a_payload_is_refused(api: Api, name: str, payload: dict[str, Any]) -> None:
    problem = assert_problem(api.post(EVENTS, an_event(**{name: payload})), 400, "validation-error")

    assert problem["field_errors"] == {name: "must not contain NUL characters"}


@pytest.mark.parametrize(
    "payload",
    [
        '{"x":NaN}',
        '{"x":-Infinity}',
        '{"x":1e400}',
        r'{"x":"\ud800"}',
        r'{"x":"\ud800 and more text after it"}',
        r'{"x":"\ude80\ud83d"}',
        r'{"\udfff":1}',
        '{"x":01}',
        '{"x":1,}',
        "{'x':1}",
        '{"x":1 /* one */}',
        '{"x":"line\nbreak"}',
        '{"x":' * 100_000,
    ],
    ids=lambda payload: payload[:24],
)
def test_payload_that_is_not_strict_json_is_refused(api: Api, payload: str) -> None:
    problem = assert_problem(post_with_payload(api, payload), 400, "validation-error")

    assert list(problem["field_errors"]) == ["body"]
    assert "not valid JSON" in problem["detail"]


def test_number_that_no_column_could_hold_is_refused(api: Api) -> None:
    answer = post_with_payload(api, f'{{"x":{"9" * 200_000}}}')

    assert_problem(answer, 400, "validation-error")
