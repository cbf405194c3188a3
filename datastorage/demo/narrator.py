"""Writes events, delivery records and incidents down as clients of the service would send them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from datastorage.demo.catalogue import Catalogue
from datastorage.demo.world import Scene

Event = dict[str, Any]
Notification = dict[str, Any]
Incident = dict[str, Any]

ERRORS = {
    "error_type": "error_code",
    "rejection_reason": "error_code",
    "failure_reason": "error_code",
    "error_message": "error_message",
    "validation_error": "error_message",
}
"""Members of an event by what its payload calls them."""

FAILED = ("failed", "rejected", "error.occurred")
PENDING = ("started", "required", "approval.requested")
"""How the types end whose events are not a success."""


class Ending(NamedTuple):
    """An incident, and when all of it was known."""

    known_at: str
    incident: Incident


@dataclass(slots=True)
class Part:
    """One remediation: its events, each after its parent, what people were sent, and how it ended."""

    events: list[Event] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)

    def until(self, instant: datetime) -> "Part":
        """Return what has happened by ``instant``."""
        return self._up_to(rfc3339(instant), len(self.events))

    def first(self, count: int) -> "Part":
        """Return the first ``count`` events, one or more, and all else of that time."""
        kept = self.events[:count]
        return self._up_to(kept[-1]["event_timestamp"], len(kept))

    def _up_to(self, last: str, count: int) -> "Part":
        # Timestamps of one format and zone sort like the instants they name.
        return Part(
            [event for event in self.events[:count] if event["event_timestamp"] <= last],
            [sent for sent in self.notifications if sent["sent_at"] <= last],
            [ending for ending in self.endings if ending.known_at <= last],
        )


class Narrator:
    """Tells one remediation: time passes, and each event is the consequence of the one before.

    Args:
        rng: the only source of chance, ids included.
        catalogue: what an event of each type looks like.
        scene: what all events have in common.
        begins: when the first of them happens.

    Attributes:
        part: what was told so far.
        facts: what is known so far, by the names that payloads have for it. An event tells of these what
            the catalogue lists for its type.
    """

    def __init__(self, rng: Random, catalogue: Catalogue, scene: Scene, begins: datetime) -> None:
        self.part = Part()
        self.facts = scene.facts()
        self._rng = rng
        self._catalogue = catalogue
        self._scene = scene
        self._now = begins
        self._cause: Event | None = None

    @property
    def now(self) -> str:
        """The instant that the story has reached."""
        return rfc3339(self._now)

    def wait(self, at_least: float, at_most: float) -> int:
        """Let some seconds pass and return how many milliseconds it were."""
        milliseconds = self._rng.randint(round(at_least * 1000), round(at_most * 1000))
        self._now += timedelta(milliseconds=milliseconds, microseconds=self._rng.randrange(1000))
        return milliseconds

    def tell(self, event_type: str, **facts: Any) -> None:
        """Add an event that the next one follows from, and the facts that have become known with it."""
        self._cause = self.mention(event_type, **facts)

    def mention(self, event_type: str, **facts: Any) -> Event:
        """Add an event from which nothing follows."""
        if self.part.events:
            self.wait(0.001, 0.03)  # no consequence without a delay, however short
        self.facts |= facts
        data = {name: self.facts[name] for name in self._catalogue[event_type].fields}
        event = self._envelope(event_type) | self._parent()
        event |= {member: data[name] for name, member in ERRORS.items() if name in data}
        event |= {name: facts[name] for name in ("duration_ms", "event_outcome") if name in facts}
        event["event_data"] = data
        self.part.events.append(event)
        return event

    def _envelope(self, event_type: str) -> Event:
        kind, scene = self._catalogue[event_type], self._scene
        return {
            "event_id": str(UUID(int=self._rng.getrandbits(128), version=4)),
            "version": "1.0",
            "event_type": event_type,
            "event_timestamp": self.now,
            "event_category": kind.category,
            "event_action": kind.action,
            "event_outcome": _outcome(event_type),
            "correlation_id": scene.correlation_id,
            "actor_type": "service",
            "actor_id": f"{kind.service}-service",
            "resource_type": scene.workload.kind,
            "resource_id": f"{scene.workload.namespace}/{scene.workload.name}",
            "resource_name": scene.workload.name,
            "namespace": scene.workload.namespace,
            "cluster_name": scene.cluster,
            "severity": scene.problem.severity,
        }

    def _parent(self) -> dict[str, str]:
        if self._cause is None:
            return {}
        # The date is a hint that spares the service a look into every month.
        date = self._cause["event_timestamp"][:10]
        return {"parent_event_id": self._cause["event_id"], "parent_event_date": date}

    def deliver(self, status: str, *names: str, **members: Any) -> None:
        """Add a delivery record of this instant, with these of the known facts."""
        record = {"remediation_id": self._scene.correlation_id, "status": status, "sent_at": self.now}
        known = {name: self.facts[name] for name in ("notification_id", *names)}
        self.part.notifications.append(record | known | members)

    def end(self, incident: Incident) -> None:
        """Add the incident, all of which is known at this instant."""
        self.part.endings.append(Ending(self.now, incident))


def _outcome(event_type: str) -> str:
    if event_type.endswith(FAILED):
        return "failure"
    return "pending" if event_type.endswith(PENDING) else "success"


def rfc3339(at: datetime) -> str:
    """Return ``at`` in UTC with six digits after the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
