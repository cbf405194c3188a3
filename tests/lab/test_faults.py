"""Nothing acknowledged is lost, nothing is stored twice: one fault after another, with real processes.

Slow on purpose, so it runs by its own command (``make chaos``) and prints the table of
``docs/operations.md``.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.cases import CASES, DISK_FULL, Case, run
from tests.lab.report import Report
from tests.lab.slow_disk import COMPILER

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_nothing_acknowledged_is_lost_or_stored_twice(case: Case, tmp_path: Path, report: Report) -> None:
    check(case, tmp_path, report)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system to fill")
def test_a_full_disk_loses_nothing(tmp_path: Path, report: Report) -> None:
    with small_file_system(tmp_path / "postgres"):
        check(DISK_FULL, tmp_path, report)


def check(case: Case, directory: Path, report: Report) -> None:
    """Run a case, and put its row into the report whatever comes of it."""
    if case.needs_slow_disk and COMPILER is None:
        pytest.skip("the slow disk is compiled")
    try:
        verdict, reasons, broken = run(case, directory)
    except Exception as error:
        report.add_unfinished(case.name, str(error).partition("\n")[0])
        raise
    report.add(case.name, verdict, reasons, broken)
    assert broken is None, verdict


@contextmanager
def small_file_system(mount_point: Path) -> Iterator[None]:
    """Mount a tmpfs that a few megabytes of write-ahead log can fill."""
    mount_point.mkdir(parents=True)
    subprocess.run(  # noqa: S603 - a fixed command
        ["/bin/mount", "-t", "tmpfs", "-o", "size=192m", "tmpfs", mount_point], check=True
    )
    try:
        yield
    finally:
        subprocess.run(["/bin/umount", "--lazy", mount_point], check=True)  # noqa: S603 - as above


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest) -> Iterator[Report]:
    rows = Report(request.config.rootpath / "build" / "chaos.json")
    yield rows
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line("")
        reporter.write_line(rows.table())
