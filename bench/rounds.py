"""Rounds: a scenario and its baseline by turns, so that a busy minute of the machine touches both."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import click

from bench.figures import Figure, Goal, Round, figure
from bench.load import Load, Target
from bench.stand import Stand

Measure = Callable[[], Load]
Pair = tuple[Load, Load]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done.

    Attributes:
        trace_rows: incidents in the table.
        rounds: of each scenario.
        seconds: of each side of a round.
    """

    trace_rows: int
    rounds: int
    seconds: float


QUICK = Effort(trace_rows=200_000, rounds=3, seconds=2)
FULL = Effort(trace_rows=1_000_000, rounds=5, seconds=4)
EFFORTS = {"quick": QUICK, "full": FULL}
WORKFLOWS = 10_000
CLIENTS = 16


def compare(
    name: str, stand: Stand, effort: Effort, sides: tuple[Target, Target], *, clients: int = CLIENTS
) -> list[Pair]:
    """Drive a target and its baseline in every round."""
    measured, baseline = (_driving(stand, effort, side, clients) for side in sides)
    return by_turns(name, [(measured, baseline)] * effort.rounds)


def _driving(stand: Stand, effort: Effort, target: Target, clients: int) -> Measure:
    return lambda: stand.generator.drive(target, clients=clients, seconds=effort.seconds)


def by_turns(name: str, rounds: Sequence[tuple[Measure, Measure]]) -> list[Pair]:
    """Measure both sides of each round; who begins changes from round to round."""
    pairs: list[Pair] = []
    with click.progressbar(rounds, label=name.ljust(42)) as progress:
        for number, (measure, baseline) in enumerate(progress):
            if number % 2:
                reference = baseline()
                pairs.append((measure(), reference))
            else:
                pairs.append((measure(), baseline()))
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
    return [Round(load.percentile(percent), baseline.percentile(percent)) for load, baseline in pairs]


def rates(pairs: Sequence[Pair], *, factor: float = 1) -> list[Round]:
    """Return successes per second of each round, times ``factor``."""
    return [Round(load.per_second * factor, baseline.per_second * factor) for load, baseline in pairs]


def failures(pairs: Sequence[Pair]) -> int:
    """Return how many requests of the measured side failed."""
    return sum(load.failed for load, _ in pairs)
