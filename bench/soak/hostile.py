"""The same load beside clients that drip bytes and clients that hardly read: do others notice?

A third of the time is undisturbed. Then 200 connections send a byte of a request each second, and eight
exports are read at a few kilobytes per second; those that are cut off come back. The p99 of both parts is
compared, and the memory of the whole pod is watched: PSS counts a page that processes share once, as the
container's limit does.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import click

from bench.load import Load
from bench.soak.steady import Soak
from bench.soak.verdicts import Verdict
from datastorage.platform.clock import monotonic_seconds
from tests.support.hostile import Crowd, Manners
from tests.support.processes import pss_mib
from tests.support.service import ServiceProcess

RESULTS = Path(__file__).parents[1] / "results" / "soak-hostile.json"
INCIDENTS = 100_000
"""Enough for an export that never fits into the buffers on its way."""
DRIPPING, EXPORTS = 200, 8
MAXIMUM_PSS_MIB = 400.0
MAXIMUM_P99_RATIO = 2.0
UNDISTURBED = 1 / 3
"""Share of the windows."""

Sample = tuple[float, float]
"""Seconds since the beginning, and MiB."""


def run(soak: Soak, service: ServiceProcess, windows: int) -> list[Verdict]:
    """Send so many windows, most of them beside hostile clients; print and write what was seen."""
    first = max(1, round(windows * UNDISTURBED))
    with memory_watched(service.pid) as samples:
        undisturbed = _together([soak.send() for _ in range(first)])
        began = samples[-1][0]
        with (
            Crowd(service.port, DRIPPING, _dripping()),
            Crowd(service.port, EXPORTS, _hardly_reading()) as exports,
        ):
            disturbed = _together([soak.send() for _ in range(max(1, windows - first))])
    _show(samples, began)
    click.echo(f"Exports were answered {dict(exports.answers)}.")
    verdicts = _judge(undisturbed, disturbed, samples, began)
    RESULTS.parent.mkdir(exist_ok=True)
    found = {
        "pss_mib": samples,
        "disturbed_since": began,
        "verdicts": [each.name for each in verdicts if not each.met],
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return verdicts


def _dripping() -> Manners:
    head = b"POST /api/v1/audit/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return Manners(opening=head + b"Content-Length: 10000\r\n\r\n", drip=b" ")


def _hardly_reading() -> Manners:
    return Manners(
        opening=b"GET /api/v1/incidents/export HTTP/1.1\r\nHost: localhost\r\n\r\n", reads_bytes=4096
    )


def _together(loads: Sequence[Load]) -> Load:
    latencies_ms = [latency for load in loads for latency in load.latencies_ms]
    failed, elapsed = sum(load.failed for load in loads), sum(load.elapsed_seconds for load in loads)
    return Load(latencies_ms, failed, elapsed)


@contextmanager
def memory_watched(pid: int) -> Iterator[list[Sample]]:
    """Look at the memory of a process and its descendants each second; the list grows meanwhile."""
    begun, stopping = monotonic_seconds(), Event()
    samples: list[Sample] = [(0.0, round(pss_mib(pid), 1))]

    def watch() -> None:
        while not stopping.wait(1):
            samples.append((round(monotonic_seconds() - begun, 1), round(pss_mib(pid), 1)))

    thread = Thread(target=watch, name="memory")
    thread.start()
    try:
        yield samples
    finally:
        stopping.set()
        thread.join()


def _show(samples: Sequence[Sample], began: float) -> None:
    click.echo("\nPSS of all processes, MiB")
    step = max(1, len(samples) // 20)
    for seconds, mib in samples[::step]:
        click.echo(f"{seconds:7.0f} s {mib:8.1f}  {'beside hostile clients' if seconds > began else ''}")
    click.echo(f"  maximum {max(mib for _, mib in samples):8.1f}")


def _judge(undisturbed: Load, disturbed: Load, samples: Sequence[Sample], began: float) -> list[Verdict]:
    before, after = undisturbed.percentile(99), disturbed.percentile(99)
    calm = max(mib for seconds, mib in samples if seconds <= began)
    highest = max(mib for _, mib in samples)
    failed = disturbed.failed
    return [
        Verdict(
            "p99 beside attack, ms",
            before,
            after,
            round(after / before, 3),
            f"<= {MAXIMUM_P99_RATIO:g} x",
            after <= MAXIMUM_P99_RATIO * before,
        ),
        Verdict("PSS, MiB", calm, highest, None, f"<= {MAXIMUM_PSS_MIB:g}", highest <= MAXIMUM_PSS_MIB),
        Verdict("failed requests", undisturbed.failed, failed, None, "0", undisturbed.failed + failed == 0),
    ]
