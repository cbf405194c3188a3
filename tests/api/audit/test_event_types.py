"""The 27 event types of the platform: each is accepted, found again, and answers its searches."""

import json
from importlib.resources import files
from typing import Any

import pytest
import yaml
from sqlalchemy import ColumnElement, Connection, cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB, TEXT

from datastorage.tables import audit_events
from tests.support.builders import EVENTS, an_event, unique
from tests.support.http import Api
from tests.support.writes import created

CATALOGUE = yaml.safe_load(
    files("datastorage.demo").joinpath("event_types.yaml").read_text(encoding="utf-8"),
)
ENTRIES: dict[str, dict[str, Any]] = {entry["event_type"]: entry for entry in CATALOGUE["event_types"]}


def searches(*operators: str) -> list[Any]:
    """Return the searches with these operators as parameters ``name`` and ``search``."""
    return [
        pytest.param(name, search, id=f"{name} {search['operator']} {search['path']}")
        for name, entry in ENTRIES.items()
        for search in entry["jsonb_queries"]
        if search["operator"] in operators
    ]


SEARCHES, TYPED_SEARCHES = searches("->>", "->"), searches("->")
JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array<string>": list,
}

Samples = dict[str, dict[str, Any]]


def a_sample(entry: dict[str, Any]) -> dict[str, Any]:
    filled = {
        name: value.replace("<service>", entry["service"]).replace("<event_type>", entry["event_type"])
        for name, value in CATALOGUE["envelope"].items()
        if name != "event_timestamp"
    }
    own = ("event_type", "event_category", "event_action", "event_outcome")
    filled |= {name: entry[name] for name in own}
    filled["correlation_id"] = unique(filled["correlation_id"])
    return an_event(**filled, event_data=entry["sample_event_data"])


def changed(value: Any) -> Any:
    """Return another value of the same JSON type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}-"
    if isinstance(value, list):
        return [changed(each) for each in value]
    return {name: changed(each) for name, each in value.items()}


@pytest.fixture(scope="module")
def samples(api: Api) -> Samples:
    """One event of every type, and beside each another one that its searches must not find."""
    sent = {name: a_sample(entry) for name, entry in ENTRIES.items()}
    for sample in sent.values():
        created(api, sample)
        created(api, sample | {"event_data": changed(sample["event_data"])})
    return sent


def test_catalogue_is_complete() -> None:
    services = [entry["service"] for entry in CATALOGUE["event_types"]]

    assert {service: services.count(service) for service in services} == {
        "gateway": 6,
        "signalprocessing": 4,
        "analysis": 5,
        "workflow": 1,
        "remediationorchestrator": 5,
        "effectivenessmonitor": 3,
        "notification": 3,
    }
    assert len(ENTRIES) == 27
    assert len(SEARCHES) == 52
    assert len(TYPED_SEARCHES) == 11


@pytest.mark.parametrize("name", ENTRIES)
def test_sample_has_the_members_that_its_entry_describes(name: str) -> None:
    fields, sample = ENTRIES[name]["fields"], ENTRIES[name]["sample_event_data"]

    assert sample.keys() == fields.keys()
    for member, field in fields.items():
        assert isinstance(sample[member], JSON_TYPES[field["type"]])
        assert field["required"]
        assert field["description"]


@pytest.mark.parametrize("name", ENTRIES)
def test_sample_is_found_again(api: Api, name: str) -> None:
    sample = a_sample(ENTRIES[name])

    event_id = created(api, sample).json["event_id"]

    page = api.get(EVENTS, {"correlation_id": sample["correlation_id"]}).json
    assert page["pagination"]["total"] == 1
    assert page["data"][0]["event_id"] == event_id
    assert {member: page["data"][0][member] for member in sample} == sample


@pytest.mark.parametrize(("name", "search"), SEARCHES)
def test_search_in_sql_finds_the_sample(
    owner: Connection, samples: Samples, name: str, search: dict[str, Any]
) -> None:
    member = audit_events.c.event_data[search["path"]]
    condition: ColumnElement[bool] = member.astext == search["expected"]
    if search["operator"] == "->":
        condition = member == cast(literal(search["expected"], TEXT()), JSONB)

    found = owner.execute(
        select(func.count())
        .select_from(audit_events)
        .where(audit_events.c.event_type == name)
        .where(audit_events.c.correlation_id == samples[name]["correlation_id"])
        .where(condition)
    ).scalar_one()

    assert found == search["expected_rows"]


def found_over_http(api: Api, sample: dict[str, Any], **payload_filter: str) -> list[dict[str, Any]]:
    own = {"event_type": sample["event_type"], "correlation_id": sample["correlation_id"]}
    answer = api.get(EVENTS, own | payload_filter)
    assert answer.status == 200, answer.body
    data: list[dict[str, Any]] = answer.json["data"]
    assert len(data) == answer.json["pagination"]["total"]
    return [event["event_data"] for event in data]


@pytest.mark.parametrize(("name", "search"), SEARCHES)
def test_search_by_path_finds_the_sample(
    api: Api, samples: Samples, name: str, search: dict[str, Any]
) -> None:
    found = found_over_http(api, samples[name], **{f"event_data.{search['path']}": search["expected"]})

    assert found == [samples[name]["event_data"]] * search["expected_rows"]


@pytest.mark.parametrize(("name", "search"), SEARCHES)
def test_search_by_containment_finds_the_sample(
    api: Api, samples: Samples, name: str, search: dict[str, Any]
) -> None:
    is_typed = search["operator"] == "->"
    expected = json.loads(search["expected"]) if is_typed else search["expected"]

    found = found_over_http(api, samples[name], event_data_contains=json.dumps({search["path"]: expected}))

    assert found == [samples[name]["event_data"]] * search["expected_rows"]


@pytest.mark.parametrize(("name", "search"), TYPED_SEARCHES)
def test_containment_tells_a_value_from_its_text(
    api: Api, samples: Samples, name: str, search: dict[str, Any]
) -> None:
    as_text = json.dumps({search["path"]: search["expected"]})

    assert found_over_http(api, samples[name], event_data_contains=as_text) == []


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("llm_request", "analysis"),
        ("aianalysis.investigation.started", "analysis"),
        ("remediationapprovalrequest.requested", "orchestration"),
        ("execution.rollback.triggered", "execution"),
        ("gateway.signal.received", "workflow"),
    ],
)
def test_type_outside_the_catalogue_is_accepted_too(api: Api, name: str, category: str) -> None:
    created(api, an_event(event_type=name, event_category=category))
