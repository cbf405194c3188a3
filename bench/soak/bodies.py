"""``python -m bench.soak --bodies``: what expensive bodies take of a pod's memory, and what comes back."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import click

from bench.soak.verdicts import Verdict
from tests.support.builders import EVENTS, an_event
from tests.support.hostile_bodies import hostile_bodies, memory_mib, send_in_turns, watched_memory
from tests.support.service import ServiceProcess

CLIENTS = 4
AT_A_TIME = 14
WARM_UP_EVENTS = 50
REST_SECONDS = 5
POD_MIB = 512
MAXIMUM_GROWTH = 0.10


@dataclass(frozen=True, slots=True)
class Look:
    """What one window showed: how many bodies were answered, the most memory, and the memory at rest."""

    bodies: int
    peak_mib: float
    rest_mib: float


def endure(service: ServiceProcess, windows: int, seconds: float) -> list[Look]:
    """Send hostile bodies window by window, and look at the memory when they have been answered."""
    for _ in range(WARM_UP_EVENTS):
        service.api.post(EVENTS, an_event())
    looks = []
    with click.progressbar(range(windows), label="hostile bodies") as progress:
        for _ in progress:
            looks.append(_window(service, seconds))
            click.echo(f" {asdict(looks[-1])}")
    return looks


def judge(looks: Sequence[Look]) -> list[Verdict]:
    """Bound the most memory, and set what was left after the last window against the first tenth.

    Each kind of body leaves buffers behind when it comes for the first time to each thread.
    """
    settled = looks[len(looks) // 10]
    peak, first, last = max(look.peak_mib for look in looks), settled.rest_mib, looks[-1].rest_mib
    grown = 1 + MAXIMUM_GROWTH
    return [
        Verdict("peak memory, MiB", settled.peak_mib, peak, None, f"< {POD_MIB}", peak < POD_MIB),
        Verdict("memory at rest, MiB", first, last, last / first, f"<= {grown:g} x", last <= grown * first),
    ]


def _window(service: ServiceProcess, seconds: float) -> Look:
    bodies, sent, deadline = hostile_bodies(), 0, time.monotonic() + seconds
    with watched_memory(service.pid) as watch:
        while time.monotonic() < deadline:
            send_in_turns(service.api, bodies, AT_A_TIME, CLIENTS)
            sent += AT_A_TIME
    time.sleep(REST_SECONDS)
    return Look(sent, round(watch.peak_mib, 1), round(memory_mib(service.pid), 1))
