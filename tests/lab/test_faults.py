"""Nothing acknowledged is lost, nothing is stored twice: one fault after another, with real processes.

Slow on purpose, so it runs by its own command (``make chaos``) and prints the table of
``docs/operations.md``.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import attacks
from tests.lab.attacks import ATTACKS, Attack
from tests.lab.cases import CASES, DISK_FULL, METRICS_DISK_FULL, Case, run
from tests.lab.report import Report
from tests.lab.slow_disk import COMPILER
from tests.support.small_disk import only_root, small_file_system

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_nothing_acknowledged_is_lost_or_stored_twice(case: Case, tmp_path: Path, report: Report) -> None:
    check(case, tmp_path, report)


@only_root
def test_a_full_disk_loses_nothing(tmp_path: Path, report: Report) -> None:
    with small_file_system(tmp_path / "postgres", "192m"):
        check(DISK_FULL, tmp_path, report)


@only_root
def test_a_full_metrics_directory_costs_numbers_only(tmp_path: Path, report: Report) -> None:
    with small_file_system(tmp_path / "service-0" / "runtime", "2m"):
        check(METRICS_DISK_FULL, tmp_path, report)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name.replace(" ", "-"))
def test_hostile_clients_hold_up_nobody_else(attack: Attack, tmp_path: Path, report: Report) -> None:
    try:
        verdict, beside, broken = attacks.run(attack, tmp_path)
    except Exception as error:
        report.add_unfinished(attack.name, str(error).partition("\n")[0])
        raise
    report.add_attack(attack.name, verdict, beside, broken)
    assert broken is None, (verdict, beside)


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


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest) -> Iterator[Report]:
    rows = Report(request.config.rootpath / "build" / "chaos.json")
    yield rows
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line("")
        reporter.write_line(rows.table())
