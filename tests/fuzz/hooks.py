"""What JSON Schema cannot say, told to schemathesis: loaded by ``schemathesis.toml`` beside this file.

The document describes every value on its own. A few rules join a value to the clock, to stored data or
to another value; generated requests are bent to them just before they are sent. Only values that are
valid by the document are touched, so a request that was made invalid on purpose stays invalid.
"""

import base64
import json
import re
import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema_rs
import schemathesis
from schemathesis.core.failures import AcceptedNegativeData

from datastorage.audit.query_schema import ALIASES as OLDER_PARAMETERS
from datastorage.audit.schemas import ALIASES as OLDER_MEMBERS

EVENTS = "/api/v1/audit"
NOTIFICATIONS = "/api/v1/audit/notifications"
NDJSON = "application/x-ndjson"

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
SHORT_TEXT = re.compile(r"[^\0]*[^\s\0][^\0]*(?<!.{200})", re.DOTALL)
LONG_NUMBER = re.compile(r"\d{6}", re.ASCII)

stored_ids: deque[str] = deque(maxlen=100)
"""Events that really are stored, to be the parents of others."""


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Bend the request to the rules that join values."""
    del context, kwargs
    items = case.body if isinstance(case.body, list) else [case.body]
    bend = {NOTIFICATIONS: bend_notification}.get(case.path, bend_event)
    if case.path.startswith(EVENTS):
        for item in items:
            if isinstance(item, dict):
                bend(item)
    if case.path == f"{EVENTS}/events" and case.method == "GET" and isinstance(case.query, dict):
        bend_query(case.query)


def bend_event(event: dict[str, Any]) -> None:
    """Keep the timestamp within the window around now, and let the parent be a stored event.

    Ids are often sent again by the generator; most are made fresh, or nearly every answer would be 409.
    """
    replace(event, "event_timestamp", INSTANT, into_last_days)
    replace(event, "event_id", UUID, lambda known: known if known[0] < "4" else str(uuid.uuid4()))
    replace(event, "parent_event_id", UUID, lambda _: stored_ids[0] if stored_ids else None)
    replace(event, "parent_event_date", INSTANT, into_last_days)


def bend_notification(notification: dict[str, Any]) -> None:
    """Keep the time of sending out of the future and of the year 1, which means "unset"; ids as above."""
    replace(notification, "sent_at", INSTANT, into_last_days)
    replace(
        notification,
        "notification_id",
        SHORT_TEXT,
        lambda known: known if len(known) % 4 == 0 else f"{known}{uuid.uuid4()}",
    )


def replace(
    values: dict[str, Any], name: str, valid: re.Pattern[str], substitute: Callable[[str], Any]
) -> None:
    """Put a substitute for a value that is valid by itself."""
    value = values.get(name)
    if isinstance(value, str) and valid.fullmatch(value):
        values[name] = substitute(value)


def into_last_days(text: str) -> str:
    """Return an instant of the last six days that depends on ``text`` only by its seconds."""
    seconds = int(text[17:19]) * 8640
    return (datetime.now(UTC) - timedelta(seconds=60 + seconds)).isoformat()


def bend_query(query: dict[str, Any]) -> None:
    """Keep times representable, pairs complete, cursors real, and pages and exports apart."""
    for name in ("since", "until", "start_time", "end_time"):
        value = query.get(name)
        if isinstance(value, str) and (LONG_NUMBER.search(value) or is_at_the_end_of_time(value)):
            query[name] = "24h"
    if bool(query.get("detail_key")) != bool(query.get("detail_value")):
        drop_if_text(query, "detail_key", re.compile(r"\w*", re.ASCII))
        drop_if_text(query, "detail_value", re.compile(r"[^\0]*"))
    if "cursor" in query:
        bend_cursor(query)
    if query.get("format") == "ndjson" and {"limit", "offset"} & query.keys():
        # An export has a wider limit and no offset; which of the two it is, one value decides for the other.
        del query["format"]


def is_at_the_end_of_time(text: str) -> bool:
    """Tell whether converting to UTC may leave the years 1 to 9999."""
    return text.startswith(("0001-01-01", "9999-12-31"))


def drop_if_text(query: dict[str, Any], name: str, valid: re.Pattern[str]) -> None:
    """Remove a parameter whose value is valid by itself."""
    if isinstance(query.get(name), str) and valid.fullmatch(query[name]):
        del query[name]


def bend_cursor(query: dict[str, Any]) -> None:
    """Keep a cursor that came from a page, with the order it belongs to; drop one that was made up."""
    try:
        padded = str(query["cursor"]) + "=="
        query["order"] = json.loads(base64.urlsafe_b64decode(padded))["o"]
    except (ValueError, TypeError, KeyError):
        drop_if_text(query, "cursor", re.compile(r"[^\0]*"))


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
    holds only where nothing else is wrong with the request.
    """
    del context, response
    if not isinstance(failure, AcceptedNegativeData) or not case.path.startswith(EVENTS):
        return True
    if case.method == "GET":
        spoiled = spoiled_parameters(case)
        return not spoiled or not spoiled <= OLDER_PARAMETERS.keys()
    return not is_valid_without_older_names(case)


def spoiled_parameters(case: Any) -> set[str]:
    """Return the names of the parameters that were made invalid."""
    data = case.meta.phase.data
    return {data.parameter, *(mutation.parameter for mutation in data.mutations)} - {None}


def is_valid_without_older_names(case: Any) -> bool:
    """Tell whether the body is valid by the document when each older name is used or dropped."""
    document = case.operation.schema.raw_schema
    operation = document["paths"][case.path][case.method.lower()]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    validator = jsonschema_rs.Draft202012Validator(
        body | {"components": document["components"]}, validate_formats=True
    )
    current = [with_current_names(item) for item in case.body] if isinstance(case.body, list) else None
    return bool(validator.is_valid(with_current_names(case.body) if current is None else current))


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
    """Return the objects of an export; the document describes them as an array."""
    del context
    return [json.loads(line) for line in response.content.splitlines()]
