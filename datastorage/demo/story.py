"""What the demo loads: a week of remediations around today, the same for the same seed and day.

Every remediation depends on the seed, the day and its own number only, never on the hour or on how many
are told. So loading the demo again on the same day stores nothing twice: what is there is found to be
identical, and what has happened since is added.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from datastorage.demo import catalogue, workflows
from datastorage.demo.catalogue import Catalogue
from datastorage.demo.narrator import STORY, Narrator, Part, Record
from datastorage.demo.workflows import Shelf, Workflow
from datastorage.demo.world import WORLD, choose_place, scene

DAYS_BACK = timedelta(days=6)
MARGIN = timedelta(hours=1)
"""Kept free at the old end: events of more than seven days are refused, and sending takes its time."""
TOUR_BEFORE_MIDNIGHT = timedelta(hours=4)
RELEASED_BEFORE_MIDNIGHT = timedelta(days=2)
"""Before then the first version of each workflow ran, since then the newest."""

REFERRING = ("workflow_id", "top_match_id")
"""Members that name a version of a workflow."""


@dataclass(frozen=True, slots=True)
class Story:
    """What the demo loads, the oldest first.

    A feature whose data is sent to an endpoint of its own adds a list here and in ``Part``.

    Attributes:
        tour: correlation id of the remediation that has an event of every type.
        search: the search that finds its workflow.
    """

    workflows: list[Workflow]
    events: list[Record]
    notifications: list[Record]
    incidents: list[Record]
    tour: str
    search: dict[str, Any]

    def with_ids(self, ids: Mapping[str, str]) -> "Story":
        """Return the story with the ids that the service gave the workflows, by their references."""

        def named(members: dict[str, Any]) -> dict[str, Any]:
            return members | {name: ids[members[name]] for name in REFERRING if name in members}

        events = [event | {"event_data": named(event["event_data"])} for event in self.events]
        return replace(self, events=events, incidents=[named(incident) for incident in self.incidents])


def tell(seed: int, now: datetime, count: int) -> Story:
    """Return ``count`` events that have happened by ``now``, or one of each type if that is more.

    Args:
        seed: another one gives another story, with other ids.
        now: an aware datetime; its day, in UTC, is the last of the story.
        count: number of events; workflows, delivery records and incidents come on top.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    types, shelf = catalogue.load(), workflows.load()
    tour, facts = _tour(seed, midnight, types, shelf)
    others = _remediations(seed, midnight, types, shelf)
    parts = [tour, *_until_enough(others, now, count - len(tour.events))]
    return Story(
        workflows=[version for versions in shelf.values() for version in versions],
        events=sorted((event for part in parts for event in part.events), key=_instant),
        notifications=[sent for part in parts for sent in part.notifications],
        incidents=[ending.incident for part in parts for ending in part.endings],
        tour=facts["correlation_id"],
        search={"filters": _filters(facts), "explain": True},
    )


def _tour(seed: int, midnight: datetime, types: Catalogue, shelf: Shelf) -> tuple[Part, Record]:
    """Return the remediation that has an event of every type, and its facts; it always plays at one place."""
    rng, begins = _dice(seed, midnight, "tour"), midnight - TOUR_BEFORE_MIDNIGHT
    place = (WORLD["workloads"][0], WORLD["problems"][0], WORLD["clusters"][0])
    newest = shelf[place[1]["workflow_matched"]][-1]
    facts = scene(place, newest, _correlation_id(rng, begins))
    narrator = Narrator(rng, types, facts, begins)
    narrator.show()
    return narrator.part, facts


def _filters(facts: Record) -> Record:
    """Return the filters of the search that finds the workflow of these facts."""
    detected = {"gitOpsManaged": True, "gitOpsTool": "argocd", "hpaEnabled": True}
    team = {"team": [f"name={facts['team']}"]}
    return {**facts["query_filters"], "custom_labels": team, "detected_labels": detected}


def _instant(event: Record) -> str:
    instant: str = event["event_timestamp"]
    return instant


def _until_enough(parts: Iterator[Part], now: datetime, wanted: int) -> Iterator[Part]:
    for part in parts:
        if wanted <= 0:
            return
        past = part.first(wanted, now)
        yield past
        wanted -= len(past.events)


def _remediations(seed: int, midnight: datetime, types: Catalogue, shelf: Shelf) -> Iterator[Part]:
    weights = [plot["weight"] for plot in STORY["plots"]]
    first = midnight - DAYS_BACK + MARGIN
    span_seconds = (midnight + timedelta(days=1) - first).total_seconds()
    for number in itertools.count():
        rng = _dice(seed, midnight, str(number))
        begins = first + timedelta(seconds=rng.uniform(0, span_seconds))
        place = choose_place(rng)
        version = -1 if begins >= midnight - RELEASED_BEFORE_MIDNIGHT else 0
        workflow = shelf[place[1]["workflow_matched"]][version]
        narrator = Narrator(rng, types, scene(place, workflow, _correlation_id(rng, begins)), begins)
        [plot] = rng.choices(STORY["plots"], weights)
        for chapter in plot["chapters"]:
            named = {chapter: {}} if isinstance(chapter, str) else chapter
            for name, facts in named.items():
                narrator.play(name, **facts)
        yield narrator.part


def _dice(seed: int, midnight: datetime, name: str) -> Random:
    return Random(f"{seed}/{midnight:%Y-%m-%d}/{name}")  # noqa: S311 - a story, not a secret


def _correlation_id(rng: Random, day: datetime) -> str:
    return f"rr-{day:%Y%m%d}-{rng.getrandbits(40):010x}"
