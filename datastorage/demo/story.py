"""What the demo loads: a week of remediations around today, the same for the same seed and day.

Every remediation depends on the seed, the day and its own number only, never on the hour or on how many
are told. So loading the demo again on the same day stores nothing twice: what is there is found to be
identical, and what has happened since is added.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from datastorage.demo import catalogue
from datastorage.demo.catalogue import Catalogue
from datastorage.demo.narrator import Event, Narrator, Notification, Part
from datastorage.demo.remediation import Remediation
from datastorage.demo.world import CLUSTERS, PROBLEMS, WORKLOADS, Scene, choose_scene

DAYS_BACK = timedelta(days=6)
MARGIN = timedelta(hours=1)
"""Kept free at the old end: events of more than seven days are refused, and sending takes its time."""
TOUR_BEFORE_MIDNIGHT = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Story:
    """What the demo loads, the oldest first.

    A feature whose data is sent to an endpoint of its own adds a list here and in ``Part``.

    Attributes:
        tour: correlation id of the remediation that has an event of every type.
    """

    events: list[Event]
    notifications: list[Notification]
    tour: str


def tell(seed: int, now: datetime, count: int) -> Story:
    """Return ``count`` events that have happened by ``now``, or one of each type if that is more.

    Args:
        seed: another one gives another story, with other ids.
        now: an aware datetime; its day, in UTC, is the last of the story.
        count: number of events; the delivery records come on top.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    types = catalogue.load()
    tour = _tour(seed, midnight, types)
    parts = [tour, *_until_enough(_remediations(seed, midnight, types), now, count - len(tour.events))]
    return Story(
        events=sorted((event for part in parts for event in part.events), key=_instant),
        notifications=[sent for part in parts for sent in part.notifications],
        tour=tour.events[0]["correlation_id"],
    )


def _instant(event: Event) -> str:
    instant: str = event["event_timestamp"]
    return instant


def _until_enough(parts: Iterator[Part], now: datetime, wanted: int) -> Iterator[Part]:
    for part in parts:
        if wanted <= 0:
            return
        past = part.until(now)
        if past.events:
            yield past.first(wanted)
            wanted -= len(past.events)


def _tour(seed: int, midnight: datetime, types: Catalogue) -> Part:
    """One remediation in which everything happens once, with the samples of the catalogue."""
    rng = _dice(seed, midnight, "tour")
    begins = midnight - TOUR_BEFORE_MIDNIGHT
    scene = Scene(WORKLOADS[0], PROBLEMS[0], CLUSTERS[0], _correlation_id(rng, begins))
    narrator = Narrator(rng, types, scene, begins)
    for kind in types.values():
        narrator.tell(kind.name, kind.sample)
        narrator.wait(2, 90)
    return narrator.part


def _remediations(seed: int, midnight: datetime, types: Catalogue) -> Iterator[Part]:
    plots, weights = zip(*PLOTS, strict=True)
    first = midnight - DAYS_BACK + MARGIN
    span_seconds = (midnight + timedelta(days=1) - first).total_seconds()
    for number in itertools.count():
        rng = _dice(seed, midnight, str(number))
        begins = first + timedelta(seconds=rng.uniform(0, span_seconds))
        scene = choose_scene(rng, _correlation_id(rng, begins))
        remediation = Remediation(rng, types, scene, begins)
        plot: Plot = rng.choices(plots, weights)[0]
        plot(remediation, rng)
        yield remediation.part


def _dice(seed: int, midnight: datetime, name: str) -> Random:
    return Random(f"{seed}/{midnight:%Y-%m-%d}/{name}")  # noqa: S311 - a story, not a secret


def _correlation_id(rng: Random, day: datetime) -> str:
    return f"rr-{day:%Y%m%d}-{rng.getrandbits(40):010x}"


Plot = Callable[[Remediation, Random], None]


def _succeeds(remediation: Remediation, rng: Random) -> None:
    remediation.arrives(duplicates=rng.choice((0, 0, 0, 1, 3)))
    _is_understood(remediation)
    remediation.is_requested()
    remediation.runs()
    remediation.completes()
    remediation.is_judged(round(rng.uniform(0.6, 1), 2))
    remediation.is_reported("Resolved")


def _is_understood(remediation: Remediation) -> None:
    remediation.is_enriched()
    remediation.is_investigated()
    remediation.finds_a_workflow()


def _does_not_help(remediation: Remediation, rng: Random) -> None:
    remediation.arrives(duplicates=2)
    _is_understood(remediation)
    remediation.is_requested()
    remediation.runs()
    remediation.completes()
    remediation.is_judged(round(rng.uniform(0, 0.4), 2))
    remediation.is_escalated("Not resolved")


def _is_approved(remediation: Remediation, rng: Random) -> None:
    remediation.arrives()
    _is_understood(remediation)
    remediation.is_requested()
    remediation.needs_approval()
    remediation.is_reported("Waiting for approval")
    remediation.is_approved()
    remediation.runs()
    remediation.completes()
    remediation.is_judged(round(rng.uniform(0.6, 1), 2))
    remediation.is_reported("Resolved")


def _is_denied(remediation: Remediation, _: Random) -> None:
    remediation.arrives()
    _is_understood(remediation)
    remediation.is_requested()
    remediation.needs_approval()
    remediation.is_denied()
    remediation.is_reported("Cancelled")


def _fails(remediation: Remediation, _: Random) -> None:
    remediation.arrives(duplicates=1)
    _is_understood(remediation)
    remediation.is_requested()
    remediation.runs(steps=1)
    remediation.breaks_off()
    remediation.is_escalated("Failed")


def _storms(remediation: Remediation, rng: Random) -> None:
    remediation.storms()
    remediation.arrives(duplicates=rng.randint(5, 15))
    _is_understood(remediation)
    remediation.is_requested()
    remediation.runs()
    remediation.completes()
    remediation.is_judged(round(rng.uniform(0.5, 0.9), 2))
    remediation.is_reported("Storm over")


def _is_rejected(remediation: Remediation, _: Random) -> None:
    remediation.is_rejected()


def _arrives_late(remediation: Remediation, rng: Random) -> None:
    remediation.stumbles()
    _succeeds(remediation, rng)


def _has_no_policy(remediation: Remediation, _: Random) -> None:
    remediation.arrives()
    remediation.cannot_be_processed()
    remediation.is_reported("Not processed")


def _finds_nothing(remediation: Remediation, _: Random) -> None:
    remediation.arrives(duplicates=4)
    remediation.is_enriched()
    remediation.is_investigated()
    remediation.finds_nothing()
    remediation.is_escalated("No cause found")


PLOTS: tuple[tuple[Plot, int], ...] = (
    (_succeeds, 44),
    (_is_approved, 14),
    (_is_rejected, 10),
    (_fails, 8),
    (_does_not_help, 7),
    (_arrives_late, 5),
    (_storms, 4),
    (_is_denied, 3),
    (_finds_nothing, 3),
    (_has_no_policy, 2),
)
"""What can happen, and how often of a hundred times."""
