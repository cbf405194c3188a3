"""``GET /api/v1/workflows/{workflow_id}`` and the versions of a name."""

from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.support.builders import unique
from tests.support.http import Api, assert_problem
from tests.support.workflow_builders import WORKFLOWS, path_of, register

UNKNOWN_ID = "3f2b8a56-0d4e-4c6f-9a1b-7e5d2c4b6a90"


def versions_path(name: str) -> str:
    return f"{WORKFLOWS}/by-name/{quote(name, safe='')}/versions"


def test_workflow_is_read_by_its_id(api: Api) -> None:
    created = register(api)

    answer = api.get(path_of(created))

    assert answer.status == 200
    assert answer.json == created


def test_id_may_be_in_upper_case(api: Api) -> None:
    created = register(api)

    answer = api.get(f"{WORKFLOWS}/{created['workflow_id'].upper()}")

    assert answer.json["workflow_id"] == created["workflow_id"]


def test_unknown_id_is_not_found(api: Api) -> None:
    unknown = str(uuid4())

    problem = assert_problem(api.get(f"{WORKFLOWS}/{unknown}"), 404, "not-found")

    assert problem["detail"] == f"Workflow not found: {unknown}"


@pytest.mark.parametrize(
    "wrong",
    [
        "not-a-uuid",
        "5b0c3f7e2d644d0e9c550f8e4c1f7a21",
        "{5b0c3f7e-2d64-4d0e-9c55-0f8e4c1f7a21}",
        "5b0c3f7e-2d64-4d0e-9c55-0f8e4c1f7a2",
    ],
)
def test_id_is_no_uuid(api: Api, wrong: str) -> None:
    problem = assert_problem(api.get(f"{WORKFLOWS}/{wrong}"), 400, "validation-error")

    assert problem["field_errors"].keys() == {"workflow_id"}


def test_versions_of_a_name_come_newest_first(api: Api) -> None:
    name = unique("wf")
    ids = [register(api, workflow_name=name, version=version)["workflow_id"] for version in ("1", "2", "3")]
    register(api, workflow_name=name + "-else")

    answer = api.get(versions_path(name))

    assert answer.status == 200
    assert answer.json["workflow_name"] == name
    assert answer.json["total"] == 3
    assert [each["workflow_id"] for each in answer.json["versions"]] == ids[::-1]


def test_unknown_name_has_no_versions(api: Api) -> None:
    answer = api.get(versions_path("nobody-has-this-name"))

    assert answer.status == 200
    assert answer.json == {"workflow_name": "nobody-has-this-name", "versions": [], "total": 0}


@pytest.mark.parametrize(
    "name",
    [
        "a/b",
        "/leading",
        "trailing/",
        "with space",
        "100%",
        "a?b#c",
        "x/versions",
        "内存 🔥",
        "it's",
        "..",
    ],
)
def test_name_may_have_any_character(api: Api, name: str) -> None:
    unique_name = f"{name}{unique('')}" if name != "trailing/" else f"{unique('')}{name}"
    created = register(api, workflow_name=unique_name)

    answer = api.get(versions_path(unique_name))

    assert [each["workflow_id"] for each in answer.json["versions"]] == [created["workflow_id"]]
    assert answer.json["workflow_name"] == unique_name


def test_name_is_compared_exactly(api: Api) -> None:
    created = register(api, workflow_name=unique("Case"))

    answer = api.get(versions_path(created["workflow_name"].lower()))

    assert answer.json["total"] == 0


def test_name_with_a_nul_character_is_refused(api: Api) -> None:
    problem = assert_problem(api.get(f"{WORKFLOWS}/by-name/a%00b/versions"), 400, "validation-error")

    assert problem["field_errors"].keys() == {"workflow_name"}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", f"{WORKFLOWS}/{UNKNOWN_ID}", {"GET", "HEAD", "OPTIONS", "PATCH"}),
        ("PUT", WORKFLOWS, {"GET", "HEAD", "OPTIONS", "POST"}),
        ("GET", f"{WORKFLOWS}/search", {"OPTIONS", "POST"}),
        ("POST", f"{WORKFLOWS}/{UNKNOWN_ID}/disable", {"OPTIONS", "PATCH"}),
    ],
)
def test_other_methods_are_not_allowed(api: Api, method: str, path: str, allowed: set[str]) -> None:
    answer = api.request(method, path)

    assert_problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", [f"{WORKFLOWS}/", f"{WORKFLOWS}/search/", f"{WORKFLOWS}/{UNKNOWN_ID}/"])
def test_trailing_slash_is_another_path(api: Api, path: str) -> None:
    assert_problem(api.get(path), 404, "not-found")
