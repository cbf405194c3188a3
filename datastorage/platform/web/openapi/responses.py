"""Responses: the answers of a contract, and the problems it may end in instead."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from apispec import APISpec

from datastorage.platform.access.permissions import GRANTABLE, Permission
from datastorage.platform.web.openapi import shapes
from datastorage.platform.web.operations import Answer, Operation
from datastorage.platform.web.problems import KINDS, MEDIA_TYPE, TYPE_PREFIX, document
from datastorage.platform.web.requests import CORRELATION_ID, REQUEST_ID

CHALLENGE_HEADER = "WWW-Authenticate"

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "An RFC 9457 problem document.",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {
            "type": "string",
            "format": "uri",
            "description": "Tells the kind of problem; ends in its slug.",
        },
        "title": {"type": "string", "minLength": 1, "description": "The kind in words."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "minLength": 1, "description": "What is wrong with this request."},
        "instance": {"type": "string", "description": "Path of the request; empty when none could be read."},
        "request_id": {"type": "string", "minLength": 1, "description": "Value of `X-Request-ID`."},
        "field_errors": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "What is wrong with each field or parameter; `body` is the body as a whole.",
        },
        "retry": {"const": True, "description": "The same request may succeed later."},
        "resource": {"type": "string", "description": "What the request was about."},
        "field": {"type": "string", "description": "The field whose value is taken."},
        "value": {"type": "string", "description": "The value that is taken."},
        "permission": {"type": "string", "description": "What the caller lacks."},
        "existing_id": {"type": "integer", "description": "Id of the stored record that has the value."},
    },
}

_HEADERS: dict[str, dict[str, Any]] = {
    REQUEST_ID: {
        "description": "Identifies the request, also in the log.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
    },
    CORRELATION_ID: {"description": "As received.", "schema": {"type": "string"}},
    "Retry-After": {
        "description": "Seconds to wait before the next attempt.",
        "schema": {"type": "integer", "minimum": 1},
    },
    CHALLENGE_HEADER: {
        "description": "The scheme of the credentials that are missing or not accepted.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Deprecation": {
        "description": "This operation has a successor.",
        "required": True,
        "schema": {"type": "string", "const": "true"},
    },
    "Link": {"description": "Names the successor.", "required": True, "schema": {"type": "string"}},
    "Location": {
        "description": "Path of what was created.",
        "required": True,
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "Stands for this very answer: send it in `If-None-Match`.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Preference-Applied": {
        "description": "Present when every event has its proof: `Prefer: wait=N` was obeyed.",
        "schema": {"type": "string"},
    },
    "X-Next-Cursor": {
        "description": "Present when rows remain: send it as `cursor` to go on.",
        "schema": {"type": "string"},
    },
}
SEQUENCE = "application/x-ndjson"
"""A sequence of JSON values; a schema describes it as the array of them all."""

_ALWAYS = (REQUEST_ID, CORRELATION_ID)
_DEPRECATED = ("Deprecation", "Link")

_EVERYWHERE = ("internal-error", "request-header-fields-too-large")
_WITH_BODY = ("validation-error", "request-timeout", "request-too-large", "unsupported-media-type")
_WITH_PARAMETERS = ("uri-too-long",)
_GUARDED = ("unauthorized", "auth-unavailable")


def add_components(spec: APISpec) -> None:
    """Add the headers, the general problem, and one schema for each slug."""
    for name, header in _HEADERS.items():
        spec.components.header(name, header)
    spec.components.schema("Problem", PROBLEM)


def of(spec: APISpec, operation: Operation, *, has_variables: bool) -> dict[str, Any]:
    """Return everything the operation may answer, by status."""
    announced = (*_ALWAYS, *_DEPRECATED) if operation.successor else _ALWAYS
    responses: dict[str, Any] = {}
    for answer in operation.documented_answers:
        described = responses.setdefault(str(answer.status), _empty(answer.description, announced))
        _add_answer(spec, described, answer)
    for status, slugs in _slugs_by_status(operation, has_variables=has_variables):
        title = " or ".join(dict.fromkeys(KINDS[slug].title for slug in slugs))
        described = responses.setdefault(str(status), _empty(f"{title}.", announced))
        schemas = [_problem_reference(spec, slug) for slug in slugs]
        schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
        described["content"][MEDIA_TYPE] = {"schema": schema}
        if status == HTTPStatus.UNAUTHORIZED:
            described["headers"] |= _refer_to_headers(CHALLENGE_HEADER)
        if any(KINDS[slug].retry for slug in slugs) and status != HTTPStatus.INTERNAL_SERVER_ERROR:
            described["headers"] |= _refer_to_headers("Retry-After")
    return dict(sorted(responses.items()))


def _empty(description: str, headers: tuple[str, ...]) -> dict[str, Any]:
    return {"description": description, "headers": _refer_to_headers(*headers), "content": {}}


def _refer_to_headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _add_answer(spec: APISpec, described: dict[str, Any], answer: Answer) -> None:
    if answer.media_type not in described["content"] and described["content"]:
        described["description"] += f" {answer.description}"
    described["headers"] |= _refer_to_headers(*answer.announces)
    if answer.status == HTTPStatus.NOT_MODIFIED:
        del described["content"]
        return
    schema = shapes.reference(spec, answer.schema)
    if answer.media_type == SEQUENCE:
        schema = {"type": "array", "items": schema, "description": "One item per line."}
    described["content"][answer.media_type] = {"schema": schema}
    for link in answer.links:
        target = {"operationId": link.operation, "parameters": dict(link.parameters)}
        name = f"{link.operation}_by_{'_'.join(link.parameters)}"
        described.setdefault("links", {})[name] = target | {"description": link.description}


def _slugs_by_status(operation: Operation, *, has_variables: bool) -> Iterator[tuple[int, list[str]]]:
    slugs = {*operation.problems, *_EVERYWHERE}
    if operation.body is not None:
        slugs |= set(_WITH_BODY)
    if operation.query is not None or has_variables:
        slugs |= set(_WITH_PARAMETERS)
    if operation.permission is not Permission.NOTHING:
        slugs |= set(_GUARDED)
    if operation.permission in GRANTABLE:
        slugs.add("forbidden")
    for status in sorted({KINDS[slug].status for slug in slugs}):
        yield status, [slug for slug in KINDS if slug in slugs and KINDS[slug].status == status]


def _problem_reference(spec: APISpec, slug: str) -> dict[str, Any]:
    name = "".join(word.capitalize() for word in re.split("[-/]", slug)) + "Problem"
    if name not in spec.components.schemas:
        spec.components.schema(name, _problem(slug))
    return {"$ref": f"#/components/schemas/{name}"}


def _problem(slug: str) -> dict[str, Any]:
    kind = KINDS[slug]
    required = ["field_errors"] if kind.status == HTTPStatus.BAD_REQUEST else []
    if kind.retry:
        required.append("retry")
    narrowed: dict[str, Any] = {
        "properties": {"type": {"const": TYPE_PREFIX + slug}, "status": {"const": kind.status}},
    }
    if required:
        narrowed["required"] = required
    example = document(
        slug,
        "What is wrong with this request.",
        instance="/api/v1/audit/events",
        request_id="req-4be1f1a4c0de4f6ba3b1b0a8e5c0ffee",
        field_errors={"event_type": "required field missing"} if "field_errors" in required else None,
    )
    return {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed], "examples": [example]}
