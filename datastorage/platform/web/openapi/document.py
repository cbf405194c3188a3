"""From the URL map and the contracts of its views to the whole document."""

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from werkzeug.routing import Rule

from datastorage import __version__
from datastorage.platform.web.contract import ViewContract, contract_of
from datastorage.platform.web.current import EXTENSION
from datastorage.platform.web.openapi import bodies, parameters, responses

DESCRIPTION = """\
The one service through which a Kubernetes remediation platform reads and writes its database.

**Requests.** Bodies are strict JSON in UTF-8, sent as `application/json` or `application/*+json`; a missing
`Content-Type` counts as JSON. Members and parameters that are not documented are ignored, except that bodies
of incidents have no other members. In an optional member `null` means absent. No string that is stored may
contain U+0000, nor may a name inside a payload.

**Names.** Some members and parameters have an older name that existing clients use. It is documented as
deprecated and counts only where the current name is absent; in bodies of incidents the two have to be equal.

**Errors.** Every error is an RFC 9457 problem document. Clients retry on 5xx and network errors with the same
`event_id`; a 4xx means that the request can never succeed as it is, except for those with `retry`. An unknown
path is a 404 with the slug `not-found`. A known path answers a method that is not documented with 405,
`method-not-allowed` and an `Allow` header; HEAD works like GET, and OPTIONS lists the methods.

**Ids.** An `X-Request-ID` is kept when it consists of up to 128 of `A-Z a-z 0-9 . _ : -`, else a new one is
made. It is on every answer, in every problem and in every log line. `X-Correlation-ID` is sent back as it
came.
"""

_VARIABLE = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_PARTS = ("openapi", "info", "servers", "tags", "paths", "components")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def document(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI document of ``app``."""
    spec = APISpec(
        title="datastorage",
        version=__version__,
        openapi_version="3.1.0",
        info={"description": DESCRIPTION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        servers=[{"url": "/"}],
        plugins=[MarshmallowPlugin(schema_name_resolver=bodies.component_name)],
    )
    bodies.add_components(spec)
    parameters.add_components(spec)
    responses.add_components(spec)
    documented = list(documented_views(app))
    for name in dict.fromkeys(rule.endpoint.partition(".")[0] for rule, _ in documented):
        spec.tag({"name": name, "description": _purpose(app, name)})
    for rule, view in documented:
        for method in sorted((rule.methods or set()) & set(_METHODS)):
            operation = _operation(spec, app, rule, view)
            spec.path(path=template(rule), operations={method.lower(): operation})
    described: dict[str, Any] = spec.to_dict()
    return {part: described[part] for part in _PARTS}


def documented_views(app: Flask) -> Iterator[tuple[Rule, Callable[..., Any]]]:
    """Yield every rule whose view has a contract, by path."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        view = app.view_functions[rule.endpoint]
        if hasattr(view, "contract"):
            yield rule, view


def template(rule: Rule) -> str:
    """Return the path of ``rule`` as OpenAPI writes it."""
    return _VARIABLE.sub(r"{\1}", rule.rule)


def _purpose(app: Flask, blueprint: str) -> str:
    """Return the first sentence of the feature's docstring."""
    package = app.blueprints[blueprint].import_name.rpartition(".")[0]
    return (sys.modules[package].__doc__ or "").partition("\n")[0]


def _operation(spec: APISpec, app: Flask, rule: Rule, view: Callable[..., Any]) -> dict[str, Any]:
    contract = contract_of(view)
    summary, _, description = inspect.cleandoc(view.__doc__ or "").partition("\n")
    operation: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_"),
        "tags": [rule.endpoint.partition(".")[0]],
        "summary": summary.rstrip("."),
        "description": description.strip(),
        "parameters": _parameters(app, rule, contract),
        "responses": responses.of(spec, contract, has_variables=bool(_VARIABLE.search(rule.rule))),
        "deprecated": contract.deprecated,
    }
    if contract.body is not None:
        reader = _reader(app, contract.body)
        content = {"application/json": {"schema": bodies.reference(spec, reader)}}
        is_required = not getattr(reader, "body_is_optional", False)
        operation["requestBody"] = {"required": is_required, "content": content}
    return {name: value for name, value in operation.items() if value}


def _parameters(app: Flask, rule: Rule, contract: ViewContract) -> list[dict[str, Any] | str]:
    path = _reader(app, contract.path) if contract.path else None
    query = _reader(app, contract.query) if contract.query else None
    return [
        *parameters.of_path(_VARIABLE.findall(rule.rule), path),
        *(parameters.of_query(getattr(query, "documented_by", query)) if query is not None else ()),
        *parameters.of_headers(),
    ]


def _reader(app: Flask, cls: type) -> Any:
    return app.extensions[EXTENSION][cls]
