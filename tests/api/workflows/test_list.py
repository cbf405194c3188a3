"""``GET /api/v1/workflows``: the inventory, newest first. Tests find their own rows by signal type."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.support.builders import unique
from tests.support.http import Api, assert_problem
from tests.support.workflow_builders import WORKFLOWS, labels, register


@pytest.fixture
def signal() -> str:
    return unique("Signal")


def register_labelled(
    api: Api, signal: str, rest: str = "high/node/production/P1", **fields: Any
) -> dict[str, Any]:
    return register(api, labels=labels(f"{signal}/{rest}"), **fields)


def ids_in(answer: Any) -> list[str]:
    return [each["workflow_id"] for each in answer.json["workflows"]]


@pytest.fixture
def three(api: Api, signal: str) -> list[str]:
    """Two active workflows and a disabled one, in the order of their creation."""
    statuses = ("active", "disabled", "active")
    return [register_labelled(api, signal, status=status)["workflow_id"] for status in statuses]


def test_every_version_in_every_status_is_listed_newest_first(
    api: Api, signal: str, three: list[str]
) -> None:
    answer = api.get(WORKFLOWS, {"signal_type": signal})

    assert answer.status == 200
    assert ids_in(answer) == three[::-1]
    assert {name: answer.json[name] for name in ("limit", "offset", "total")} == {
        "limit": 100,
        "offset": 0,
        "total": 3,
    }


def test_without_parameters_everything_is_listed(api: Api, three: list[str]) -> None:
    answer = api.get(WORKFLOWS)

    assert ids_in(answer)[:3] == three[::-1]
    assert answer.json["total"] >= 3


def test_status_filters(api: Api, signal: str, three: list[str]) -> None:
    answer = api.get(WORKFLOWS, {"signal_type": signal, "status": "active"})

    assert ids_in(answer) == [three[2], three[0]]
    assert answer.json["total"] == 2


def test_pages_know_the_whole(api: Api, signal: str, three: list[str]) -> None:
    answer = api.get(WORKFLOWS, {"signal_type": signal, "limit": 2, "offset": 1})

    assert ids_in(answer) == [three[1], three[0]]
    assert (answer.json["total"], answer.json["limit"], answer.json["offset"]) == (3, 2, 1)


@pytest.mark.parametrize("page", [{"limit": 1}, {"limit": 1000}, {"offset": 100000}, {"offset": 2**63 - 1}])
def test_page_at_its_limits(api: Api, signal: str, three: list[str], page: dict[str, int]) -> None:
    answer = api.get(WORKFLOWS, {"signal_type": signal, **page})

    assert answer.status == 200
    assert answer.json["total"] == len(three)
    assert len(ids_in(answer)) == (0 if "offset" in page else min(3, page["limit"]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "abc"),
        ("limit", "1.5"),
        ("limit", "9" * 5000),
        ("offset", "-1"),
        ("offset", str(2**63)),
        ("offset", "٣"),
        ("status", "paused"),
        ("status", "Active"),
    ],
)
def test_parameter_is_outside_its_range(api: Api, name: str, value: str) -> None:
    problem = assert_problem(api.get(WORKFLOWS, {name: value}), 400, "validation-error")

    assert problem["field_errors"].keys() == {name}
    assert problem["detail"].startswith(f"{name}: ")


def test_every_bad_parameter_is_named(api: Api) -> None:
    problem = assert_problem(
        api.get(WORKFLOWS, {"limit": "x", "offset": "y", "status": "z"}), 400, "validation-error"
    )

    assert problem["field_errors"].keys() == {"limit", "offset", "status"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("severity", "low"), ("component", "pod"), ("environment", "*"), ("priority", "P3")],
)
def test_label_filters_literally(api: Api, signal: str, name: str, value: str) -> None:
    wanted = {**labels(f"{signal}/high/node/production/P1"), name: value}
    found = register(api, labels=wanted)
    register_labelled(api, signal)
    register_labelled(api, signal, "critical/*/staging/*")

    answer = api.get(WORKFLOWS, {"signal_type": signal, name: value})

    assert ids_in(answer) == [found["workflow_id"]]


def test_a_specific_value_does_not_find_wildcards(api: Api, signal: str) -> None:
    register_labelled(api, signal, "high/node/*/P1")

    answer = api.get(WORKFLOWS, {"signal_type": signal, "environment": "production"})

    assert answer.json["total"] == 0


def test_workflow_name_filters(api: Api, signal: str) -> None:
    found = register_labelled(api, signal)
    register_labelled(api, signal)

    answer = api.get(WORKFLOWS, {"workflow_name": found["workflow_name"]})

    assert ids_in(answer) == [found["workflow_id"]]


def test_custom_labels_have_every_given_value(api: Api, signal: str) -> None:
    both = register_labelled(api, signal, custom_labels={"team": ["name=platform", "x", "name=storage"]})
    register_labelled(api, signal, custom_labels={"team": ["name=storage"]})
    register_labelled(api, signal, custom_labels={"owner": ["name=storage", "name=platform"]})
    register_labelled(api, signal, custom_labels={})

    together = f"custom_labels%5Bteam%5D={quote('name=storage,name=platform')}"
    repeated = "custom_labels[team]=name%3Dstorage&custom_labels[team]=,name%3Dplatform,"

    for query in (together, repeated):
        answer = api.get(f"{WORKFLOWS}?signal_type={signal}&{query}")
        assert ids_in(answer) == [both["workflow_id"]]


def test_custom_labels_of_several_subdomains_all_count(api: Api, signal: str) -> None:
    found = register_labelled(api, signal, custom_labels={"team": ["a"], "region": ["b"]})
    register_labelled(api, signal, custom_labels={"team": ["a"]})

    answer = api.get(
        WORKFLOWS, {"signal_type": signal, "custom_labels[team]": "a", "custom_labels[region]": "b"}
    )

    assert ids_in(answer) == [found["workflow_id"]]


@pytest.mark.parametrize("text", ["x' OR '1'='1", 'a"b\\c', "{}", "$.team", "🔥"])
def test_filters_are_text_whatever_they_look_like(api: Api, signal: str, three: list[str], text: str) -> None:
    assert three
    for name in ("component", "workflow_name", "custom_labels[team]", f"custom_labels[{text}]"):
        answer = api.get(WORKFLOWS, {"signal_type": signal, name: text})
        assert (answer.status, answer.json["total"]) == (200, 0)


def test_empty_parameters_count_as_absent_and_unknown_ones_are_ignored(
    api: Api, signal: str, three: list[str]
) -> None:
    ignored = dict.fromkeys(("status", "limit", "offset", "component", "custom_labels[team]"), "") | {
        "x": "y"
    }

    answer = api.get(WORKFLOWS, {"signal_type": signal, **ignored})

    assert answer.json["total"] == len(three)
    assert answer.json["limit"] == 100


def test_of_repeated_parameters_the_first_counts(api: Api, signal: str, three: list[str]) -> None:
    answer = api.get(f"{WORKFLOWS}?signal_type={signal}&status=disabled&status=active")

    assert ids_in(answer) == [three[1]]


def test_nul_in_a_filter_is_refused(api: Api) -> None:
    assert_problem(api.get(f"{WORKFLOWS}?custom_labels[team]=a%00b"), 400, "validation-error")
