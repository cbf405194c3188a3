"""What the demo loads: a week of remediations around today, the same for the same seed and day.

Every remediation depends on the seed, the day and its own number only, never on the hour or on how many
are told. So loading the demo again on the same day stores nothing twice: what is there is found to be
identical, and what has happened since is added.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import itemgetter
from random import Random
from typing import Any

from datastorage.demo.content import SHELF, STORY, WORLD, Facts, Workflow, filled
from datastorage.demo.narrator import Narrator, Part, Record

DAYS_BACK = timedelta(days=6)
MARGIN = timedelta(hours=1)
"""Kept free at the old end: events of more than seven days are refused, and sending takes its time."""
TOUR_BEFORE_MIDNIGHT = timedelta(hours=4)
RELEASED_BEFORE_MIDNIGHT = timedelta(days=2)
"""Before then the first version of each workflow ran, since then the newest."""

REFERRING = ("workflow_id", "top_match_id")
"""Members that name a version of a workflow."""

Place = tuple[Facts, Facts, Facts]
"""A workload, a problem it can have, and a cluster."""


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
    tour, facts = _tour(seed, midnight)
    parts = [tour]
    wanted = count - len(tour.events)
    for part in _remediations(seed, midnight):
        if wanted <= 0:
            break
        parts.append(part.first(wanted, now))
        wanted -= len(parts[-1].events)
    return Story(
        workflows=list(itertools.chain(*SHELF.values())),
        events=sorted((event for part in parts for event in part.events), key=itemgetter("event_timestamp")),
        notifications=[sent for part in parts for sent in part.notifications],
        incidents=[incident for part in parts for _, incident in part.endings],
        tour=facts["correlation_id"],
        search={"filters": _filters(facts), "explain": True},
    )


def _tour(seed: int, midnight: datetime) -> tuple[Part, Facts]:
    """Return the remediation that has an event of every type, and its facts; it always plays at one place."""
    rng, begins = _dice(seed, midnight, "tour"), midnight - TOUR_BEFORE_MIDNIGHT
    place = (WORLD["workloads"][0], WORLD["problems"][0], WORLD["clusters"][0])
    facts = scene(place, SHELF[place[1]["workflow_matched"]][-1], _correlation_id(rng, begins))
    narrator = Narrator(rng, facts, begins)
    narrator.show()
    return narrator.part, facts


def _filters(facts: Facts) -> Record:
    """Return the filters of the search that finds the workflow of these facts."""
    detected = {"gitOpsManaged": True, "gitOpsTool": "argocd", "hpaEnabled": True}
    team = {"team": [f"name={facts['team']}"]}
    return {**facts["query_filters"], "custom_labels": team, "detected_labels": detected}


def _remediations(seed: int, midnight: datetime) -> Iterator[Part]:
    weights = [plot["weight"] for plot in STORY["plots"]]
    first = midnight - DAYS_BACK + MARGIN
    span_seconds = (midnight + timedelta(days=1) - first).total_seconds()
    for number in itertools.count():
        rng = _dice(seed, midnight, str(number))
        begins = first + timedelta(seconds=rng.uniform(0, span_seconds))
        place = _choose_place(rng)
        version = -1 if begins >= midnight - RELEASED_BEFORE_MIDNIGHT else 0
        workflow = SHELF[place[1]["workflow_matched"]][version]
        narrator = Narrator(rng, scene(place, workflow, _correlation_id(rng, begins)), begins)
        [plot] = rng.choices(STORY["plots"], weights)
        for chapter in plot["chapters"]:
            named = {chapter: {}} if isinstance(chapter, str) else chapter
            for name, facts in named.items():
                narrator.play(name, **facts)
        yield narrator.part


def _choose_place(rng: Random) -> Place:
    workload = rng.choice(WORLD["workloads"])
    problem = rng.choice([each for each in WORLD["problems"] if strikes(each, workload)])
    return workload, problem, rng.choice(WORLD["clusters"])


def strikes(problem: Facts, workload: Facts) -> bool:
    """Tell whether a workload can have this problem."""
    return not {workload["kind"], workload["name"]}.isdisjoint(problem["strikes"])


def scene(place: Place, workflow: Workflow, correlation_id: str) -> Facts:
    """Return what is known of a remediation before its first event."""
    workload, problem, cluster = place
    operations = [{"step_number": at, "name": name} for at, name in enumerate(workflow.steps, start=1)]
    facts = {
        **workload,
        **problem,
        **cluster,
        **WORLD["severities"][problem["severity"]],
        "correlation_id": correlation_id,
        "suffix": correlation_id.rpartition("-")[2],
        "reference": workflow.reference,
        "workflow_version": workflow.version,
        "action_type": workflow.name.replace("-", "_"),
        "steps": workflow.steps,
        "first_step": workflow.steps[:1],
        "all_operations": operations,
        "first_operation": operations[:1],
        "is_chained": "follow_up_verification" in workflow.steps,
        "start_reason": "no_approval_needed",
        "delivery": 1,
    }
    return facts | filled(WORLD["ids"], facts)


def _dice(seed: int, midnight: datetime, name: str) -> Random:
    return Random(f"{seed}/{midnight:%Y-%m-%d}/{name}")  # noqa: S311 - a story, not a secret


def _correlation_id(rng: Random, day: datetime) -> str:
    return f"rr-{day:%Y%m%d}-{rng.getrandbits(40):010x}"
