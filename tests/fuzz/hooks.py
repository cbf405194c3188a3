"""What schemathesis has to know beside the document: loaded by ``schemathesis.toml`` beside this file.

Generated requests are bent to a few rules just before they are sent; ``rules`` says which, and why.
"""

import json
from contextlib import suppress
from typing import Any

import jsonschema_rs
import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.generation.meta import TestPhase

from datastorage.audit.parameters import AuditSearch
from datastorage.audit.schemas import ALIASES as OLDER_MEMBERS
from datastorage.platform.clock import utc_now
from tests.fuzz.rules import BODY_RULES, EVENTS, INCIDENTS, QUERY_RULES, stored_ids, use_one_name

EXCEEDED = "successful_executions must not exceed total_executions"
NDJSON = "application/x-ndjson"
OLDER_PARAMETERS = {older: each.name for each in AuditSearch(utc_now).parameters for older in each.aliases}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Bend the request to the rules that join values."""
    del context, kwargs
    bodies = case.body if isinstance(case.body, list) else [case.body]
    for body in bodies:
        if isinstance(body, dict):
            bend_body(case, body)
    if isinstance(case.query, dict):
        bend_parameters(case)


def bend_body(case: Any, body: dict[str, Any]) -> None:
    """Bend one object of a request body."""
    for bend in (rule for path, rule in BODY_RULES if case.path.startswith(path)):
        bend(body)
        break
    if case.path.startswith(INCIDENTS) and case.meta.generation.mode.is_positive:
        use_one_name(body)


def bend_parameters(case: Any) -> None:
    """Bend the parameters of a read."""
    for bend in (rule for path, rule in QUERY_RULES if case.path.startswith(path)):
        bend(case.query)
        break
    if case.meta.phase.name is TestPhase.STATEFUL and case.query.get("format") == "ndjson":
        # Links belong to a status, not to a media type: the one to the next page is in pages only.
        del case.query["format"]


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Remember what was stored."""
    del context
    if case.method == "POST" and response.status_code == 201 and case.path in {EVENTS, f"{EVENTS}/events"}:
        stored_ids.append(response.json()["event_id"])


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Let the service ignore an older name beside the current one, whatever its value.

    Without this exception the document would have to spell out every combination of the two names. It
    holds only where nothing else is wrong with the request. A change of one of the two numbers of executions
    alone is judged beside the other one as it is stored, of which the document knows nothing either.
    """
    del context
    if case.method == "PATCH" and failure.code == "ST202":
        return bool(response.json().get("field_errors") != {"total_executions": EXCEEDED})
    if case.path == f"{INCIDENTS}/batch" and failure.code in {"ST204", "ST205"}:
        return False  # GET says that "batch" is no id, as existing clients expect
    if not isinstance(failure, AcceptedNegativeData) or not case.path.startswith(EVENTS):
        return True
    return not (is_valid_query(case) if case.method == "GET" else is_valid_body(case))


def is_valid_query(case: Any) -> bool:
    """Tell whether every parameter is valid by the document, apart from older names that do not count."""
    operation = case.operation.schema.raw_schema["paths"][case.path]["get"]
    described = {each["name"]: each for each in operation["parameters"] if "name" in each}
    query = case.query or {}
    counting = {name for name in query if OLDER_PARAMETERS.get(name) not in query} & described.keys()
    return all(is_valid_parameter(case, described[name], query[name]) for name in counting)


def is_valid_parameter(case: Any, described: dict[str, Any], value: Any) -> bool:
    """Tell whether the text of a parameter is valid, as it is or as JSON."""
    content = described.get("content", {}).get("application/json")
    readings = [] if content else [value]
    with suppress(ValueError, TypeError):
        readings.append(json.loads(value))
    validator = validator_of(case, (content or described)["schema"])
    return any(validator.is_valid(reading) for reading in readings)


def is_valid_body(case: Any) -> bool:
    """Tell whether the body is valid by the document when each older name is used or dropped."""
    operation = case.operation.schema.raw_schema["paths"][case.path][case.method.lower()]
    validator = validator_of(case, operation["requestBody"]["content"]["application/json"]["schema"])
    if isinstance(case.body, list):
        return bool(validator.is_valid([with_current_names(item) for item in case.body]))
    return bool(validator.is_valid(with_current_names(case.body)))


def validator_of(case: Any, schema: dict[str, Any]) -> Any:
    """Return a validator of ``schema``, which may refer to the components of the document."""
    components = case.operation.schema.raw_schema["components"]
    return jsonschema_rs.Draft202012Validator(schema | {"components": components}, validate_formats=True)


def with_current_names(value: Any) -> Any:
    """Return an event the way the service reads it."""
    if not isinstance(value, dict):
        return value
    event = dict(value)
    for older, current in OLDER_MEMBERS.items():
        if older in event and event.get(current) is None:
            event[current] = event[older]
        event.pop(older, None)
    return event


@schemathesis.deserializer(NDJSON)
def read_lines(context: Any, response: Any) -> list[Any]:
    """Return the objects of an export; the document describes them as an array, and its end in words."""
    del context
    lines = [json.loads(line) for line in response.content.splitlines()]
    return lines[:-1] if lines and "_end" in lines[-1] else lines
