"""What JSON Schema cannot say: rules that join a value to the clock, to stored rows or to another value.

Each function bends a generated request to one of them. Only values that are valid by the document are
touched, so a request that was made invalid on purpose stays invalid.
"""

import base64
import json
import re
import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from datastorage.incidents.writing.schemas import ALIASES as OLDER_INCIDENT_MEMBERS

EVENTS = "/api/v1/audit"
FEED = "/api/v1/audit/feed"
LONGEST_WAIT = 30
NOTIFICATIONS = "/api/v1/audit/notifications"
INCIDENTS = "/api/v1/incidents"
RATES = "/api/v1/success-rate"
WORKFLOW = "/api/v1/workflows/{workflow_id}"

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
SHORT_TEXT = re.compile(r"[^\0]*[^\s\0][^\0]*(?<!.{200})", re.DOTALL)
LONG_NUMBER = re.compile(r"\d{4}[\dd]|\d{6}", re.ASCII)
VALID_TIME = re.compile(r"(\d+(\.\d+)?(ns|us|ms|d|h|m|s))+|\d{4}-\d\d-\d\d(T.*)?", re.ASCII)

stored_ids: deque[str] = deque(maxlen=100)
"""Events that really are stored, to be the parents of others."""


def bend_incident(incident: dict[str, Any]) -> None:
    """Keep the action in the past, leave its duration to be computed, and let the resource be described."""
    replace(incident, "action_timestamp", INSTANT, into_last_days)
    for name in ("execution_start_time", "execution_end_time", "start_time", "end_time"):
        replace(incident, name, INSTANT, lambda _: None)  # their distance has to be the duration
    history: Any = incident.get("action_history_id")
    if is_count(history) and history > 0:  # of rows that only other services write
        incident |= {"action_history_id": None, "resource_kind": "Deployment", "resource_name": "web"}


def use_one_name(incident: dict[str, Any]) -> None:
    """Drop further names of a member: with other values they contradict it."""
    given = {name for name in OLDER_INCIDENT_MEMBERS.values() if name in incident}
    for older, current in OLDER_INCIDENT_MEMBERS.items():
        if older in incident and current in given:
            del incident[older]
        elif older in incident:
            given.add(current)


def bend_incident_query(query: dict[str, Any]) -> None:
    """Keep bounds real and in order; a cursor belongs to the very filters it was made for."""
    drop_if_text(query, "cursor", re.compile(r"[^\0]{0,512}"))
    bend_times(query)
    if {"since", "until"} <= query.keys():
        drop_if_text(query, "until", VALID_TIME)


def bend_rate(query: dict[str, Any]) -> None:
    """Ask about something, and about a version of a workflow that is named."""
    if not any(query.get(name) for name in ("incident_type", "workflow_id", "action_type")):
        query["action_type"] = "restart_pod"
    if query.get("workflow_version") and not query.get("workflow_id"):
        drop_if_text(query, "workflow_version", re.compile(r"[^\0]*"))


def bend_change(change: dict[str, Any]) -> None:
    """Let a workflow not succeed more often than it ran; what is not sent counts as it is stored."""
    ran: Any = change.get("total_executions") or 0
    succeeded: Any = change.get("successful_executions")
    if is_count(ran) and is_count(succeeded):
        change["total_executions"] = max(ran, succeeded)


def is_count(value: Any) -> bool:
    """Tell whether JSON Schema calls it an integer that is not negative; 5.0 is one, ``true`` is not."""
    return type(value) in {int, float} and value >= 0 and value % 1 == 0


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
    bend_times(query)
    if bool(query.get("detail_key")) != bool(query.get("detail_value")):
        drop_if_text(query, "detail_key", re.compile(r"\w*", re.ASCII))
        drop_if_text(query, "detail_value", re.compile(r"[^\0]*"))
    if "cursor" in query:
        bend_cursor(query)
    if query.get("format") == "ndjson" and {"limit", "offset"} & query.keys():
        # An export has a wider limit and no offset; which of the two it is, one value decides for the other.
        del query["format"]


def bend_feed(query: dict[str, Any]) -> None:
    """Wait for what comes no longer than the client waits for an answer."""
    bend_query(query)
    wait = str(query.get("wait", ""))
    if wait.isdecimal() and 1 < int(wait) <= LONGEST_WAIT:
        query["wait"] = 1


def bend_times(query: dict[str, Any]) -> None:
    """Replace durations that are zero or too long, and times that may leave the calendar."""
    for name in ("since", "until", "start_time", "end_time", "received_since", "received_until"):
        value = query.get(name)
        if isinstance(value, str) and VALID_TIME.fullmatch(value):
            is_duration = value[4:5] != "-"
            is_odd = not re.search("[1-9]", value) or LONG_NUMBER.search(value)
            if (is_duration and is_odd) or is_at_the_end_of_time(value):
                query[name] = "24h"


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


BODY_RULES = (
    (NOTIFICATIONS, bend_notification),
    (EVENTS, bend_event),
    (INCIDENTS, bend_incident),
    (WORKFLOW, bend_change),
)
QUERY_RULES = ((FEED, bend_feed), (EVENTS, bend_query), (INCIDENTS, bend_incident_query), (RATES, bend_rate))
"""The first path that a request's path starts with decides."""
