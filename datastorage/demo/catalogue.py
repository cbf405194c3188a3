"""The event types that the platform's services send, read from ``event_types.yaml``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datastorage.demo import templates


@dataclass(frozen=True, slots=True)
class EventType:
    """One entry of the catalogue.

    Attributes:
        name: the ``event_type``.
        fields: the members of ``event_data``, by name.
        sample: an ``event_data`` with exactly those members.
        members: what events of the type have in common besides.
    """

    name: str
    fields: Mapping[str, Mapping[str, Any]]
    sample: Mapping[str, Any]
    members: Mapping[str, str]


Catalogue = Mapping[str, EventType]

FAILURE = ("failed", "rejected", "error.occurred")
PENDING = ("started", "required", "approval.requested")
"""How the types end whose events are not a success."""


def load() -> Catalogue:
    """Return every event type by its name, in the order of the file."""
    entries = templates.load("event_types.yaml")["event_types"]
    return {entry["event_type"]: _event_type(entry) for entry in entries}


def _event_type(entry: Mapping[str, Any]) -> EventType:
    name = entry["event_type"]
    members = {
        "event_type": name,
        "event_category": entry["event_category"],
        "event_action": entry["event_action"],
        "event_outcome": "pending" if name.endswith(PENDING) else "success",
        "actor_id": f"{entry['service']}-service",
    }
    if name.endswith(FAILURE):
        members["event_outcome"] = "failure"
    return EventType(name, entry["fields"], entry["sample_event_data"], members)
