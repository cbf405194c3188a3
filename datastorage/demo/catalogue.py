"""The event types that the platform's services send, read from ``event_types.yaml``."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class EventType:
    """One entry of the catalogue.

    Attributes:
        name: the ``event_type``.
        fields: the members of ``event_data``, by name.
        sample: an ``event_data`` with exactly those members.
    """

    name: str
    category: str
    action: str
    outcome: str
    service: str
    fields: Mapping[str, Mapping[str, Any]]
    sample: Mapping[str, Any]


Catalogue = Mapping[str, EventType]


def load() -> Catalogue:
    """Return every event type by its name, in the order of the file."""
    content = yaml.safe_load(files(__package__).joinpath("event_types.yaml").read_text(encoding="utf-8"))
    return {entry["event_type"]: _event_type(entry) for entry in content["event_types"]}


def _event_type(entry: Mapping[str, Any]) -> EventType:
    return EventType(
        name=entry["event_type"],
        category=entry["event_category"],
        action=entry["event_action"],
        outcome=entry["event_outcome"],
        service=entry["service"],
        fields=entry["fields"],
        sample=entry["sample_event_data"],
    )
