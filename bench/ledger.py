"""What the ledger costs those who write: single events and batches, beside the same without leaves."""

from bench.access import another
from bench.audit_rows import BATCH_EVENTS
from bench.audit_writes import BATCH_CLIENTS, CLIENTS, batches, posts
from bench.figures import Figure, Goal, figure
from bench.rounds import Effort, by_turns, driving, failures, rates
from bench.stand import Stand

GOAL = Goal(0.95, of="ratio", is_least=True)


def writes(stand: Stand, effort: Effort) -> list[Figure]:
    """Single events and batches with ``ledger.enabled``, which is the default, beside those without."""
    figures = []
    with another(stand, LEDGER_ENABLED="false") as without:
        for what, target, clients, events in (
            ("single events", posts, CLIENTS, 1),
            (f"batches of {BATCH_EVENTS} events", batches, BATCH_CLIENTS, BATCH_EVENTS),
        ):
            name = f"{what}, ledger on beside off"
            sides = [driving(each, target(each.service_url), clients) for each in (stand, without)]
            pairs = by_turns(name, effort, *sides)
            speed = rates(pairs, factor=events)
            figures.append(figure(name, "events/s", speed, goal=GOAL, failed=failures(pairs)))
    return figures
