"""``GET /api/v1/audit/events``: filters on ``event_data``."""

from json import dumps
from typing import Any

import pytest

from tests.support.builders import EVENTS, an_event, unique
from tests.support.http import Answer, Api, assert_problem
from tests.support.writes import batch_created

PAYLOADS: dict[str, dict[str, Any]] = {
    "plain": {"alert_name": "EtcdHighCommitLatency", "is_duplicate": False, "count": 3},
    "texts": {"alert_name": "KubePodCrashLooping", "is_duplicate": "false", "count": "3", "none": "null"},
    "nested": {"payload": {"labels": {"app-name": "checkout", "tier_1": "web"}, "score": 0.95}},
    "deep": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": "bottom"}}}}}}}},
    "array": {"pods": ["checkout-1", "checkout-2"], "steps": [{"name": "drain"}, {"name": "restart"}]},
    "structures": {"alert_name": {"EtcdHighCommitLatency": 1}, "count": [3], "empty": {}, "none": None},
    "numbers": {"big": 12345678901234567890, "exact": 1.0, "negative": -2, "text": "1.0"},
    "quotes": {"note": 'it\'s 100% "done" \\ {0} $1 %s :x', "0": "digit key"},
}


@pytest.fixture(scope="module")
def ours(api: Api) -> str:
    """One correlation with every payload, among events of another."""
    ours = unique()
    events = [
        an_event(correlation_id=correlation_id, event_action=name, event_data=payload)
        for correlation_id in (ours, unique())
        for name, payload in PAYLOADS.items()
    ]
    batch_created(api, events)
    return ours


def names(answer: Answer) -> set[str]:
    assert answer.status == 200, answer.body
    assert answer.json["pagination"]["total"] == len(answer.json["data"])
    return {event["event_action"] for event in answer.json["data"]}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("alert_name", "EtcdHighCommitLatency", {"plain"}),
        ("alert_name", "etcdhighcommitlatency", set()),
        ("is_duplicate", "false", {"plain", "texts"}),
        ("count", "3", {"plain", "texts"}),
        ("count", "3.0", {"plain"}),
        ("count", "0.3e1", {"plain"}),
        ("count", "03", set()),
        ("payload.labels.app-name", "checkout", {"nested"}),
        ("payload.labels.tier_1", "web", {"nested"}),
        ("payload.score", "0.95", {"nested"}),
        ("payload.score", "0.950", {"nested"}),
        ("payload.score", "95e-2", {"nested"}),
        ("a.b.c.d.e.f.g.h", "bottom", {"deep"}),
        ("pods.0", "checkout-1", {"array"}),
        ("pods.1", "checkout-1", set()),
        ("pods.9", "checkout-1", set()),
        ("steps.1.name", "restart", {"array"}),
        ("pods", "checkout-1", set()),
        ("none", "null", {"texts"}),
        ("big", "12345678901234567890", {"numbers"}),
        ("exact", "1.0", {"numbers"}),
        ("exact", "1", {"numbers"}),
        ("text", "1.0", {"numbers"}),
        ("text", "1", set()),
        ("negative", "-2", {"numbers"}),
        ("note", PAYLOADS["quotes"]["note"], {"quotes"}),
        ("0", "digit key", {"quotes"}),
        ("missing", "x", set()),
    ],
)
def test_path_filter_compares_the_text_of_a_member(
    api: Api, ours: str, path: str, value: str, expected: set[str]
) -> None:
    answer = api.get(EVENTS, {"correlation_id": ours, f"event_data.{path}": value})

    assert names(answer) == expected


@pytest.mark.parametrize("path", ["number", "numbers.0", "deep.number"])
@pytest.mark.parametrize("number", ["1e5", "1.10", "1E+21", "-2.50e-7", "0.1234567890123456789", "1e308"])
def test_number_is_found_by_what_was_sent(api: Api, path: str, number: str) -> None:
    ours = unique()
    payload = f'{{"number":{number},"numbers":[{number}],"deep":{{"number":{number}}}}}'
    texts = f'{{"number":"{number}","numbers":["{number}"],"deep":{{"number":"{number}"}}}}'
    for action, sent in (("number", payload), ("text", texts), ("other", payload.replace(number, "7e7"))):
        body = dumps(an_event(correlation_id=ours, event_action=action, event_data="PAYLOAD"))
        assert api.post(EVENTS, body=body.replace('"PAYLOAD"', sent).encode()).status == 201

    answer = api.get(EVENTS, {"correlation_id": ours, f"event_data.{path}": number})

    assert names(answer) == {"number", "text"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("alert_name", '{"EtcdHighCommitLatency": 1}'),
        ("count", "[3]"),
        ("empty", "{}"),
        ("payload.labels", '{"tier_1": "web", "app-name": "checkout"}'),
        ("steps.0", '{"name": "drain"}'),
    ],
)
def test_path_filter_never_matches_objects_or_arrays(api: Api, ours: str, path: str, value: str) -> None:
    answer = api.get(EVENTS, {"correlation_id": ours, f"event_data.{path}": value})

    assert names(answer) == set()


@pytest.mark.parametrize(
    "value",
    [
        "NaN",
        "Infinity",
        "1e400",
        "1e999999",
        "-1e999999",
        "1e-999999",
        "1e-20000",
        "0e99999",
        "9" * 500,
        "{",
        '"',
    ],
)
def test_values_that_only_look_like_json_are_text(api: Api, ours: str, value: str) -> None:
    answer = api.get(EVENTS, {"correlation_id": ours, "event_data.count": value})

    assert names(answer) == set()


@pytest.mark.parametrize(
    ("contained", "expected"),
    [
        ({"is_duplicate": False}, {"plain"}),
        ({"is_duplicate": "false"}, {"texts"}),
        ({"count": 3.0}, {"plain"}),
        ({"payload": {"score": 0.95}}, {"nested"}),
        ({"pods": ["checkout-2"]}, {"array"}),
        ({"steps": [{"name": "drain"}]}, {"array"}),
        ({"none": None}, {"structures"}),
        ({"big": 12345678901234567890}, {"numbers"}),
        ({"note": PAYLOADS["quotes"]["note"]}, {"quotes"}),
        ({}, set(PAYLOADS)),
    ],
)
def test_containment_compares_json_values(
    api: Api, ours: str, contained: dict[str, Any], expected: set[str]
) -> None:
    answer = api.get(EVENTS, {"correlation_id": ours, "event_data_contains": dumps(contained)})

    assert names(answer) == expected


def test_containment_compares_numbers_in_the_precision_they_are_stored_in(api: Api) -> None:
    ours = unique()
    body = dumps(an_event(correlation_id=ours, event_action="precise", event_data={"ratio": "RATIO"}))
    exact = '{"ratio":0.1234567890123456789}'
    api.post(EVENTS, body=body.replace('{"ratio": "RATIO"}', exact).encode())

    answer = api.get(EVENTS, {"correlation_id": ours, "event_data_contains": exact})

    assert names(answer) == {"precise"}


def test_containment_with_a_number_beyond_any_column_is_no_fault_of_ours(api: Api, ours: str) -> None:
    answer = api.get(EVENTS, {"correlation_id": ours, "event_data_contains": '{"count":1e-20000}'})

    assert names(answer) == set()


def test_detail_pair_compares_a_top_level_member(api: Api, ours: str) -> None:
    answer = api.get(
        EVENTS,
        {"correlation_id": ours, "detail_key": "alert_name", "detail_value": "KubePodCrashLooping"},
    )

    assert names(answer) == {"texts"}


def test_payload_filters_hold_together(api: Api, ours: str) -> None:
    answer = api.get(
        EVENTS,
        {
            "correlation_id": ours,
            "event_data.count": "3",
            "event_data_contains": '{"is_duplicate":false}',
            "detail_key": "alert_name",
            "detail_value": "EtcdHighCommitLatency",
        },
    )

    assert names(answer) == {"plain"}


def test_payload_filter_works_however_often_it_is_used(api: Api, ours: str) -> None:
    answers = [
        api.get(EVENTS, {"correlation_id": ours, "event_data.alert_name": "EtcdHighCommitLatency"})
        for _ in range(12)
    ]

    assert [names(answer) for answer in answers] == [{"plain"}] * 12


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"event_data.a..b": "1"}, "event_data.a..b"),
        ({"event_data.": "1"}, "event_data."),
        ({"event_data.a.": "1"}, "event_data.a."),
        ({"event_data.a b": "1"}, "event_data.a b"),
        ({"event_data.ä": "1"}, "event_data.ä"),
        ({"event_data.a'b": "1"}, "event_data.a'b"),
        ({f"event_data.{'a' * 65}": "1"}, f"event_data.{'a' * 65}"),
        ({"event_data.a.b.c.d.e.f.g.h.i": "1"}, "event_data.a.b.c.d.e.f.g.h.i"),
        ({"event_data_contains": "[1]"}, "event_data_contains"),
        ({"event_data_contains": '"text"'}, "event_data_contains"),
        ({"event_data_contains": "{"}, "event_data_contains"),
        ({"event_data_contains": '{"a":"\\u0000"}'}, "event_data_contains"),
        ({"detail_key": "a"}, "detail_key"),
        ({"detail_value": "a"}, "detail_value"),
        ({"detail_key": "a.b", "detail_value": "x"}, "detail_key"),
        ({f"event_data.a{n}": "1" for n in range(6)}, "event_data"),
    ],
)
def test_malformed_payload_filter_is_refused_by_name(
    api: Api, parameters: dict[str, str], field: str
) -> None:
    answer = api.get(EVENTS, parameters)

    problem = assert_problem(answer, 400, "validation-error")
    assert list(problem["field_errors"]) == [field]
