"""From the operations of the service to the whole document."""

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

from apispec import APISpec

from datastorage import __version__
from datastorage.platform.access.permissions import Permission
from datastorage.platform.web.openapi import bodies, parameters, responses
from datastorage.platform.web.operations import Operation
from datastorage.platform.web.routing import Endpoint, Routes

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

SCHEME: Final = "bearer"
TOKENS: Final = (
    "Who calls. An installation decides which tokens count; by default it asks for none. `x-permission` of"
    " an operation says what the caller needs, `/api/v1/whoami` what the caller has."
)

_VARIABLE = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_PARTS = ("openapi", "info", "servers", "tags", "paths", "components")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def document(routes: Routes) -> dict[str, Any]:
    """Return the OpenAPI document of what ``routes`` lead to."""
    spec = APISpec(
        title="datastorage",
        version=__version__,
        openapi_version="3.1.0",
        info={"description": DESCRIPTION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        servers=[{"url": "/"}],
    )
    spec.components.security_scheme(SCHEME, {"type": "http", "scheme": "bearer", "description": TOKENS})
    bodies.add_components(spec)
    parameters.add_components(spec)
    responses.add_components(spec)
    documented = sorted(_documented(routes), key=lambda each: each[0].rule)
    purposes = {_tag(endpoint): _purpose(operation) for endpoint, operation in documented}
    for name, purpose in purposes.items():
        spec.tag({"name": name, "description": purpose})
    for endpoint, operation in documented:
        described_operation = _operation(spec, endpoint, operation)
        for method in sorted(endpoint.methods & set(_METHODS)):
            spec.path(path=template(endpoint.rule), operations={method.lower(): described_operation})
    described: dict[str, Any] = spec.to_dict()
    return {part: described[part] for part in _PARTS}


def _documented(routes: Routes) -> Iterator[tuple[Endpoint, Operation]]:
    """Yield what has answers to describe; the document itself and views of packages have none."""
    for endpoint in routes:
        operation = endpoint.operation
        answers = operation.documented_answers
        if answers and all(answer.schema for answer in answers):
            yield endpoint, operation


def template(rule: str) -> str:
    """Return the path of ``rule`` as OpenAPI writes it."""
    return _VARIABLE.sub(r"{\1}", rule)


def _tag(endpoint: Endpoint) -> str:
    return endpoint.name.partition(".")[0]


def _purpose(operation: Operation) -> str:
    """Return the first sentence of the feature's docstring."""
    feature = ".".join(operation.act.__module__.split(".")[:2])
    return (sys.modules[feature].__doc__ or "").partition("\n")[0]


def _operation(spec: APISpec, endpoint: Endpoint, operation: Operation) -> dict[str, Any]:
    summary, _, description = inspect.cleandoc(operation.act.__doc__ or "").partition("\n")
    has_variables = bool(_VARIABLE.search(endpoint.rule))
    described: dict[str, Any] = {
        "operationId": endpoint.name.replace(".", "_"),
        "tags": [_tag(endpoint)],
        "summary": summary.rstrip("."),
        "description": description.strip(),
        "parameters": _parameters(endpoint),
        "responses": responses.of(spec, operation, has_variables=has_variables),
        "deprecated": operation.successor is not None,
        "x-permission": operation.permission.value,
    }
    if endpoint.body is not None:
        content = {"application/json": {"schema": bodies.reference(spec, endpoint.body)}}
        is_required = not getattr(endpoint.body, "body_is_optional", False)
        described["requestBody"] = {"required": is_required, "content": content}
    is_open = operation.permission is Permission.NOTHING
    kept = {name: value for name, value in described.items() if value}
    return kept | {"security": [] if is_open else [{SCHEME: []}]}


def _parameters(endpoint: Endpoint) -> list[dict[str, Any] | str]:
    path: Any = endpoint.path
    query: Any = endpoint.query
    return [
        *parameters.of_path(_VARIABLE.findall(endpoint.rule), path),
        *(parameters.of_query(getattr(query, "documented_by", query)) if query is not None else ()),
        *parameters.of_headers(),
    ]
