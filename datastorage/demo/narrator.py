"""Tells one remediation as ``story.yaml`` says, in the records that clients of the service would send."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from datastorage.demo.content import EVENT_TYPES, STORY, WORLD, Facts, fill, filled

Record = dict[str, Any]

FAILURE = ("failed", "rejected", "error.occurred")
PENDING = ("started", "required", "approval.requested")
"""How the types end whose events are not a success."""

ERRORS = {
    "error_type": "error_code",
    "rejection_reason": "error_code",
    "failure_reason": "error_code",
    "error_message": "error_message",
    "validation_error": "error_message",
}
"""Members of an event by what its payload calls them."""


@dataclass(slots=True)
class Part:
    """One remediation: its events, each after its parent, what people were sent, and how it ended.

    An ending is an incident, with the time at which all of it was known.
    """

    events: list[Record] = field(default_factory=list)
    notifications: list[Record] = field(default_factory=list)
    endings: list[tuple[str, Record]] = field(default_factory=list)

    def first(self, count: int, instant: datetime) -> "Part":
        """Return at most ``count`` events that have happened by ``instant``, and all else of their time."""
        # Timestamps of one format and zone sort like the instants they name.
        last = rfc3339(instant)
        events = [event for event in self.events if event["event_timestamp"] <= last][:count]
        if len(events) == count:
            last = events[-1]["event_timestamp"]
        return Part(
            events,
            [sent for sent in self.notifications if sent["sent_at"] <= last],
            [(known_at, incident) for known_at, incident in self.endings if known_at <= last],
        )


class Narrator:
    """Tells one remediation: time passes, and each event is the consequence of the one before.

    Args:
        rng: the only source of chance, ids included.
        facts: what is known before the first event.
        begins: when that happens.

    Attributes:
        part: what was told so far.
    """

    def __init__(self, rng: Random, facts: Facts, begins: datetime) -> None:
        self.part = Part()
        self._rng = rng
        self._facts = {**facts, "now": rfc3339(begins)}
        self._now = begins
        self._parent: Record = {}

    def play(self, chapter: str, **facts: Any) -> None:
        """Tell a chapter."""
        self._facts |= facts
        for step in STORY["chapters"][chapter]:
            for occasion in self._occasions(step):
                self._facts |= occasion
                self._take(step)

    def _occasions(self, step: Facts) -> list[Facts]:
        if "each" in step:
            entries = self._facts[step["each"]]
            return [{"number": number, "entry": entry} for number, entry in enumerate(entries, start=1)]
        return [{}] * self._drawn(step.get("repeat", 1))

    def _take(self, step: Facts) -> None:
        known = self._learn(step)
        for chapter in step.get("play", ()):
            self.play(chapter)
        if "tell" in step:
            self._cause(step["tell"], known)
        if "mention" in step:
            self._event(step["mention"], known)
        if "deliver" in step:
            members = STORY["delivery"] | step["deliver"] | {"sent_at": "{now}"}
            self.part.notifications.append(filled(members, self._facts))
        if "end" in step:
            self._end(step["end"])

    def _learn(self, step: Facts) -> Facts:
        """Let the time of a step pass, and return the facts that become known in it."""
        known = {}
        if "wait" in step:
            self._wait(*step["wait"])
        if "took" in step:
            known["duration_ms"] = self._wait(*step["took"])
        if "choose" in step:
            known |= filled(self._rng.choice(WORLD[step["choose"]]), self._facts)
        known |= {name: self._drawn(value) for name, value in step.get("facts", {}).items()}
        self._facts |= known
        if "note" in step:
            self._facts.setdefault(step["note"], self._facts["now"])
        return known

    def _end(self, members: Facts) -> None:
        incident = filled(STORY["incident"] | members, self._facts)
        self.part.endings.append((self._facts["now"], incident))

    def show(self) -> None:
        """Tell of every event type with the sample of the catalogue."""
        for name, kind in EVENT_TYPES.items():
            sample = kind["sample_event_data"]
            self._facts |= sample
            self._cause(name, sample)
            if name in STORY["tour"]:
                self._facts[STORY["tour"][name]] = self._facts["now"]
            self._wait(2, 90)
        self._facts |= {"operations": self._facts["all_operations"], "execution_id": "we-tour"}
        self._end({"execution_status": "completed", "effectiveness_score": "{effectiveness_score}"})

    def _wait(self, at_least: float, at_most: float) -> int:
        """Let some seconds pass and return how many milliseconds they were."""
        milliseconds = self._rng.randint(round(at_least * 1000), round(at_most * 1000))
        self._now += timedelta(milliseconds=milliseconds, microseconds=self._rng.randrange(1000))
        self._facts["now"] = rfc3339(self._now)
        return milliseconds

    def _drawn(self, value: Any) -> Any:
        match value:
            case {"integer": [low, high]}:
                return self._rng.randint(low, high)
            case {"ratio": [low, high]}:
                return round(self._rng.uniform(low, high), 2)
            case {"one_of": options}:
                return self._rng.choice(options)
            case _:
                return fill(value, self._facts)

    def _cause(self, event_type: str, known: Facts) -> None:
        """Add an event from which the next one follows."""
        event = self._event(event_type, known)
        # The date is a hint that spares the service a look into every month.
        date = event["event_timestamp"][:10]
        self._parent = {"parent_event_id": event["event_id"], "parent_event_date": date}

    def _event(self, event_type: str, known: Facts) -> Record:
        """Add an event of this instant; ``known`` are the facts that have become known with it."""
        if self.part.events:
            self._wait(0.001, 0.03)  # no consequence without a delay, however short
        kind = EVENT_TYPES[event_type]
        data = {name: self._facts[name] for name in kind["fields"]}
        event = {
            "event_id": str(UUID(int=self._rng.getrandbits(128), version=4)),
            "event_timestamp": self._facts["now"],
            **filled(STORY["event"], self._facts),
            "event_type": event_type,
            "event_category": kind["event_category"],
            "event_action": kind["event_action"],
            "event_outcome": _outcome(event_type, data),
            "actor_id": f"{kind['service']}-service",
            **self._parent,
            **{member: data[name] for name, member in ERRORS.items() if name in data},
            "event_data": data,
        }
        if "duration_ms" in known:
            event["duration_ms"] = known["duration_ms"]
        self.part.events.append(event)
        return event


def _outcome(event_type: str, data: Mapping[str, Any]) -> str:
    if event_type.endswith(FAILURE) or data.get("to_phase") in {"Failed", "Cancelled"}:
        return "failure"
    return "pending" if event_type.endswith(PENDING) else "success"


def rfc3339(at: datetime) -> str:
    """Return ``at`` in UTC with six digits after the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
