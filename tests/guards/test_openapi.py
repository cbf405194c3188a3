"""docs/openapi.yaml is what the code says, and it says something about every route."""

from typing import Any

import pytest
import yaml
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from datastorage.app import create_app
from datastorage.openapi import as_yaml, default_document, default_settings
from datastorage.platform.web.current import EXTENSION
from datastorage.platform.web.grammar import ANY_TEXT
from datastorage.platform.web.openapi.document import template
from datastorage.platform.web.parameters import Parameter
from datastorage.platform.web.routing import Routes
from tests.guards.source import ROOT

DOCUMENT = ROOT / "docs" / "openapi.yaml"
SHOWN: dict[str, list[str]] = {"bearer": []}
UNDOCUMENTED = {
    ("/api/v1/audit/ledger/tile/{tile}", "get"),  # C2SP says what it is; its path has a number of slashes
    ("/docs", "get"),  # the page that shows the document
    ("/docs/", "get"),
    ("/docs/initializer.js", "get"),
    ("/docs/{path}", "get"),
    ("/console/login", "get"),  # pages for people
    ("/console/login", "post"),
    ("/console/logout", "post"),
    ("/console/static/{name}", "get"),
    ("/metrics", "get"),  # Prometheus text format; its rows are in docs/metrics.md
    ("/openapi.json", "get"),  # the document itself
    ("/api/v1/incidents/batch", "get"),  # says that "batch" is no id of an incident, as clients expect
}


@pytest.fixture(scope="module")
def app() -> Flask:
    return create_app(default_settings())


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    return found


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]


def test_file_is_what_the_code_generates() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == as_yaml(default_document()), "run `make openapi`"


def test_every_route_is_documented_and_nothing_else(app: Flask, described: dict[str, Any]) -> None:
    routed = {
        (template(rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert {(path, method) for path, method, _ in operations(described)} == routed - UNDOCUMENTED


def test_linter_finds_no_error(described: dict[str, Any]) -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(described).iter_errors()] == []


def test_every_operation_says_what_a_caller_has_to_show(described: dict[str, Any]) -> None:
    needed = {
        (path, method): (operation["security"], operation["x-permission"] == "nothing")
        for path, method, operation in operations(described)
    }
    wrong = {
        place for place, (security, is_open) in needed.items() if security != ([] if is_open else [SHOWN])
    }

    assert wrong == set()
    assert SHOWN.keys() == described["components"]["securitySchemes"].keys()
    assert {path for (path, _), (_, is_open) in needed.items() if is_open} == {
        "/health",
        "/health/live",
        "/health/ready",
        "/healthz",
        "/readyz",
    }


def test_every_parameter_says_what_it_means(described: dict[str, Any]) -> None:
    silent = [
        f"{method} {path}: {parameter['name']}"
        for path, method, operation in operations(described)
        for parameter in operation["parameters"]
        if "$ref" not in parameter and not parameter["description"]
    ]

    assert silent == []


def test_every_problem_of_a_parameter_is_declared(app: Flask) -> None:
    undeclared = [
        f"{endpoint.rule}: {parameter.name} may be {slug}"
        for endpoint in app.extensions[EXTENSION][Routes]
        for parameter in getattr(endpoint.query, "parameters", ())
        for slug in slugs_of(parameter) - {*endpoint.operation.problems}
    ]

    assert undeclared == []


def slugs_of(parameter: Parameter) -> set[str]:
    refused = set() if parameter.grammar is ANY_TEXT else {parameter.slug}
    return refused | ({parameter.missing_slug} if parameter.required else set())


def test_every_request_body_has_an_example(described: dict[str, Any]) -> None:
    silent = [
        f"{method} {path}"
        for path, method, operation in operations(described)
        if "requestBody" in operation and not examples_of_body(described, operation)
    ]

    assert silent == []


def examples_of_body(described: dict[str, Any], operation: dict[str, Any]) -> Any:
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    reference = schema.get("items", schema)["$ref"]
    return described["components"]["schemas"][reference.rpartition("/")[2]].get("examples")


def test_every_reference_and_link_of_the_document_has_a_target(described: dict[str, Any]) -> None:
    known = {operation["operationId"] for _, _, operation in operations(described)}
    dangling = [reference for reference in references(described) if not resolves(described, reference)]
    astray = [
        link["operationId"]
        for _, _, operation in operations(described)
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
        if link["operationId"] not in known
    ]

    assert dangling == []
    assert astray == []


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in references(item)]
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return []


def resolves(described: dict[str, Any], reference: str) -> bool:
    node: Any = described
    for part in reference.removeprefix("#/").split("/"):
        if part not in node:
            return False
        node = node[part]
    return True
