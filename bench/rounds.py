"""Rounds: a scenario and its baseline by turns, so that a busy minute of the machine touches both."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import click

from bench.figures import Figure, Goal, Round, figure
from bench.load import Load, SelfDriven, Target
from bench.processors import of_tree
from bench.stand import Stand

Measure = Callable[[float], Load]
"""Drives one side of a round for so many seconds."""
Pair = tuple[Load, Load]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done.

    Attributes:
        trace_rows: incidents in the table.
        audit_rows: events in the table.
        growth_rows: events in the smaller of two tables that are compared.
        rounds: of each scenario.
        seconds: of each side of a round.
    """

    trace_rows: int
    audit_rows: int
    growth_rows: int
    rounds: int
    seconds: float


QUICK = Effort(trace_rows=150_000, audit_rows=110_000, growth_rows=15_000, rounds=3, seconds=1.1)
FULL = Effort(trace_rows=1_000_000, audit_rows=1_000_000, growth_rows=100_000, rounds=5, seconds=5)
EFFORTS = {"quick": QUICK, "full": FULL}
WORKFLOWS = 10_000
CLIENTS = 16
WARM_UP = 2 / 3
"""Of a round."""


def compare(
    name: str,
    stand: Stand,
    effort: Effort,
    sides: tuple[Target | SelfDriven, Target | SelfDriven],
    *,
    clients: int = CLIENTS,
) -> list[Pair]:
    """Drive a target and its baseline in every round."""
    measured, baseline = (driving(stand, side, clients) for side in sides)
    return by_turns(name, effort, measured, baseline)


def driving(
    stand: Stand, target: Target | SelfDriven, clients: int, *, service_pid: int | None = None
) -> Measure:
    """Return what drives ``target``, and looks at the processor time of service and database."""
    service_pid = service_pid or stand.service_pid

    def measure(seconds: float) -> Load:
        service, database = of_tree(service_pid), of_tree(stand.postgres_pid)
        load = stand.generator.drive(target, clients=clients, seconds=seconds)
        return replace(
            load,
            service_seconds=of_tree(service_pid) - service,
            database_seconds=of_tree(stand.postgres_pid) - database,
        )

    return measure


def by_turns(name: str, effort: Effort, measure: Measure, baseline: Measure) -> list[Pair]:
    """Measure both sides in each round.

    Each side runs for a moment before, uncounted: connections are opened, statements prepared and plans made
    then.
    """
    for side in (measure, baseline):
        side(effort.seconds * WARM_UP)
    return take_turns(name.ljust(42), effort.rounds, effort.seconds, (measure, baseline))


def take_turns(label: str, rounds: int, seconds: float, sides: tuple[Measure, Measure]) -> list[Pair]:
    """Drive both sides for so many seconds in each round; who begins changes from round to round."""
    measure, baseline = sides
    pairs: list[Pair] = []
    with click.progressbar(range(rounds), label=label) as progress:
        for number in progress:
            if number % 2:
                reference = baseline(seconds)
                pairs.append((measure(seconds), reference))
            else:
                pairs.append((measure(seconds), baseline(seconds)))
    return pairs


def latencies(name: str, pairs: Sequence[Pair], goals: Mapping[int, Goal | None]) -> list[Figure]:
    """Return a line for each percentile."""
    failed = failures(pairs)
    lines = [
        figure(f"{name}, p{percent}", "ms", _percentiles(pairs, percent), goal=goal, failed=failed)
        for percent, goal in goals.items()
    ]
    # At once: a run that is ended half-way has told what it found.
    click.echo("".join(f"    {line.name}: {line.value:g} ms, ratio {line.ratio:g}\n" for line in lines))
    return lines


def _percentiles(pairs: Sequence[Pair], percent: int) -> list[Round]:
    return [
        Round(load.percentile(percent), baseline.percentile(percent), *_processor_ms(load))
        for load, baseline in pairs
    ]


def rates(pairs: Sequence[Pair], *, factor: float = 1) -> list[Round]:
    """Return successes per second of each round, times ``factor``."""
    return [
        Round(
            load.per_second * factor,
            baseline.per_second * factor,
            *(milliseconds and milliseconds / factor for milliseconds in _processor_ms(load)),
        )
        for load, baseline in pairs
    ]


def costs(pairs: Sequence[Pair]) -> list[Round]:
    """Return the service's processor time per success of each round, in milliseconds."""
    return [
        Round(_processor_ms(load)[0] or 0.0, _processor_ms(baseline)[0] or 0.0, *_processor_ms(load))
        for load, baseline in pairs
    ]


def _processor_ms(load: Load) -> tuple[float | None, float | None]:
    """Return milliseconds of service and database for each success."""
    service, database = (
        seconds and seconds * 1000 / len(load.latencies_ms)
        for seconds in (load.service_seconds, load.database_seconds)
    )
    return service, database


def failures(pairs: Sequence[Pair]) -> int:
    """Return how many requests of the measured side failed."""
    return sum(load.failed for load, _ in pairs)
