"""``python -m bench.soak --hostile``: what expensive bodies take of a pod's memory, and what comes back."""

import time
from dataclasses import asdict, dataclass

import click

from tests.support.builders import EVENTS, an_event
from tests.support.hostile import hostile_bodies, memory_mib, send_in_turns, watched_memory
from tests.support.service import ServiceProcess

CLIENTS = 4
AT_A_TIME = 14
WARM_UP_EVENTS = 50
REST_SECONDS = 5
POD_MIB = 512


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


def _window(service: ServiceProcess, seconds: float) -> Look:
    bodies, sent, deadline = hostile_bodies(), 0, time.monotonic() + seconds
    with watched_memory(service.pid) as watch:
        while time.monotonic() < deadline:
            send_in_turns(service.api, bodies, AT_A_TIME, CLIENTS)
            sent += AT_A_TIME
    time.sleep(REST_SECONDS)
    return Look(sent, round(watch.peak_mib, 1), round(memory_mib(service.pid), 1))
