"""The API document, generated from routes and schemas: OpenAPI 3.1, and a page to browse it offline.

Every view carries a ``ViewContract``; this module turns the URL map and those contracts into
operations. Nothing is written twice, so the document cannot promise what the code does not do.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, cast

import marshmallow
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Flask, Response
from flask_swagger_ui import get_swaggerui_blueprint
from werkzeug.routing import Rule

from datastorage import __version__
from datastorage.platform.web import json
from datastorage.platform.web.contract import ArrayContract, Contract, ViewContract, contract_of
from datastorage.platform.web.current import EXTENSION, current_app
from datastorage.platform.web.problems import KINDS, MEDIA_TYPE

DESCRIPTION = """\
The one service through which a Kubernetes remediation platform reads and writes its database.

Every error is an RFC 9457 problem document. Clients retry on 5xx and network errors with the same
`event_id`; a 4xx means that the request can never succeed as it is.
"""

_VARIABLE = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

blueprint = Blueprint("openapi", __name__)


@blueprint.get("/openapi.json")
def openapi_json() -> Response:
    """Return the API document of this very application."""
    return Response(json.encode(document(current_app())), mimetype="application/json")


def swagger_ui() -> Blueprint:
    """Return the page at ``/docs``; its scripts come from the installed package, not from the internet."""
    return cast("Blueprint", get_swaggerui_blueprint("/docs", "/openapi.json", config={"deepLinking": True}))


def document(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI document of ``app``."""
    plugin = MarshmallowPlugin(schema_name_resolver=_schema_name)
    spec = APISpec(
        title="datastorage",
        version=__version__,
        openapi_version="3.1.0",
        info={"description": DESCRIPTION},
        plugins=[plugin],
    )
    assert plugin.converter is not None  # noqa: S101 - set by APISpec above
    plugin.converter.add_attribute_function(_own_schema)  # type: ignore[no-untyped-call]
    spec.components.schema("Problem", PROBLEM)
    for rule, view in _documented(app):
        contract = contract_of(view)
        for method in sorted((rule.methods or set()) & set(_METHODS)):
            operation = _operation(app, rule, view, contract)
            spec.path(path=_VARIABLE.sub(r"{\1}", rule.rule), operations={method.lower(): operation})
    described: dict[str, Any] = spec.to_dict()
    return described


PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "field_errors": {"type": "object", "additionalProperties": {"type": "string"}},
        "retry": {"type": "boolean"},
        "resource": {"type": "string"},
        "field": {"type": "string"},
        "value": {"type": "string"},
    },
}


def _documented(app: Flask) -> Iterator[tuple[Rule, Callable[..., Any]]]:
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        view = app.view_functions[rule.endpoint]
        if hasattr(view, "contract"):
            yield rule, view


def _operation(app: Flask, rule: Rule, view: Callable[..., Any], contract: ViewContract) -> dict[str, Any]:
    summary, _, description = (view.__doc__ or "").strip().partition("\n")
    operation: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_"),
        "tags": [rule.endpoint.partition(".")[0]],
        "summary": summary.rstrip("."),
        "parameters": [*_path_parameters(app, rule, contract), *_query_parameters(app, contract)],
        "responses": _responses(contract),
    }
    if description.strip():
        operation["description"] = " ".join(description.split())
    if contract.deprecated:
        operation["deprecated"] = True
    if contract.body is not None:
        schema = _schema_of(_reader(app, contract.body))
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _reader(app: Flask, cls: type) -> Any:
    return app.extensions[EXTENSION][cls]


def _schema_of(reader: Any) -> Any:
    if isinstance(reader, ArrayContract):
        return {"type": "array", "items": reader.item, "minItems": 1, "maxItems": reader.maximum}
    return reader


def _path_parameters(app: Flask, rule: Rule, contract: ViewContract) -> Iterator[dict[str, Any]]:
    schema = _reader(app, contract.path) if contract.path else None
    for name in _VARIABLE.findall(rule.rule):
        field = schema.fields[name] if schema else None
        described = field.openapi() if field else {"type": "string"}
        yield {"in": "path", "name": name, "required": True, "schema": described}


def _query_parameters(app: Flask, contract: ViewContract) -> Iterator[dict[str, Any]]:
    if contract.query is None:
        return
    reader = _reader(app, contract.query)
    schema: marshmallow.Schema = getattr(reader, "documented_by", reader)
    for name, field in schema.fields.items():
        if not field.metadata.get("internal"):
            described = cast("Any", field).openapi()
            yield {"in": "query", "name": name, "required": field.required, "schema": described}


def _responses(contract: ViewContract) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for answer in contract.answers:
        described = responses.setdefault(
            str(answer.status), {"description": answer.description, "content": {}}
        )
        described["content"][answer.media_type] = {"schema": answer.schema}
    slugs = {*contract.problems, "internal-error"}
    if contract.body is not None:
        slugs |= {"validation-error", "request-timeout", "request-too-large", "unsupported-media-type"}
    for slug in sorted(slugs, key=lambda slug: KINDS[slug].status):
        kind = KINDS[slug]
        described = responses.setdefault(str(kind.status), {"description": kind.title, "content": {}})
        described["content"][MEDIA_TYPE] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return responses


def _own_schema(_converter: Any, field: marshmallow.fields.Field[Any], **_: Any) -> dict[str, Any]:
    """Let a field of ours describe itself; ``null`` is absence wherever the field is optional."""
    if not hasattr(field, "openapi"):
        return {}
    described: dict[str, Any] = field.openapi()
    if not field.required:
        if "enum" in described:
            described["enum"] = [*described["enum"], None]
        described["type"] = [described["type"], "null"]
    return described


def _schema_name(schema: Any) -> str:
    cls = schema if isinstance(schema, type) else type(schema)
    name: str = cls.__name__
    return name.removesuffix("Schema")


__all__ = ["Contract", "blueprint", "document", "swagger_ui"]
