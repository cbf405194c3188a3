"""sqlmap attacks every parameter of the incident reads and finds nothing (BR-STORAGE-025).

Not part of a plain run: tens of thousands of requests take many minutes, and sqlmap is no dependency of ours.
``tox run -e sqlmap`` brings it along; ``--level`` and ``--risk`` are those of ``ATTACK``.
"""

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.engine import Row

from datastorage.platform.clock import monotonic_seconds
from datastorage.tables import resource_action_traces
from tests.support.incident_builders import AGGREGATE, EXPORT, INCIDENTS, SUCCESS_RATE
from tests.support.incident_stand import Stand, incident_stand, insert_twelve
from tests.support.servers import Servers

ATTACK = ("--level=3", "--risk=2", "--technique=BEUSTQ", "--time-sec=2", "--dbms=PostgreSQL")

_FILTERS = (
    "namespace=production&severity=critical&cluster=eu-1&environment=prod&action_type=restart_pod"
    "&status=completed&signal_name=HighMemoryUsage&alert_name=HighMemoryUsage&incident_type=pod-oom-killer"
    "&workflow_id=pod-oom-recovery&since=30d&until=1m"
)
TARGETS = {
    "list": f"{INCIDENTS}?limit=5&offset=0&count=exact&view=summary&envelope=both&{_FILTERS}",
    "list by ids": f"{INCIDENTS}?action_id=a-01&correlation_id=x",
    "list behind a cursor": f"{INCIDENTS}?cursor=NEXT",
    "one": f"{INCIDENTS}/4*",
    "export": f"{EXPORT}?max_rows=5&view=full&{_FILTERS}",
    "export by ids": f"{EXPORT}?action_id=a-01&correlation_id=x",
    "export behind a cursor": f"{EXPORT}?cursor=NEXT",
    "rate of a workflow": f"{AGGREGATE}/success-rate?workflow_id=pod-oom-recovery&time_range=30d",
    "by namespace": f"{AGGREGATE}/by-namespace?time_range=30d",
    "by severity": f"{AGGREGATE}/by-severity?time_range=30d",
    "trend": f"{AGGREGATE}/trend?period=30d&fill=zero",
    "incident type": f"{SUCCESS_RATE}/incident-type?incident_type=high-cpu&time_range=30d&min_samples=3",
    "workflow": f"{SUCCESS_RATE}/workflow?workflow_id=cpu-scale&workflow_version=v2.0&time_range=30d"
    "&min_samples=3",
    "dimensions": f"{SUCCESS_RATE}/multi-dimensional?incident_type=high-cpu&workflow_id=cpu-scale"
    "&workflow_version=v2.0&action_type=scale_deployment&time_range=30d&min_samples=3",
}
"""What is attacked: all parameters of each, and the path where it says ``*``; ``NEXT`` is a cursor."""


@pytest.fixture(scope="module")
def stand(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A service with twelve incidents."""
    with incident_stand(servers, tmp_path_factory.mktemp("attacked")) as stand:
        with stand.owner() as owner:
            insert_twelve(owner)
        yield stand


@pytest.mark.parametrize("target", TARGETS)
def test_no_parameter_can_be_injected(
    stand: Stand, tmp_path: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with stand.owner() as owner:
        before = contents(owner)
    cursor = stand.api.get(f"{INCIDENTS}?limit=1").json["pagination"]["next_cursor"]
    logged = len(stand.service.log_lines)
    started = monotonic_seconds()

    output = attack(f"{stand.api.url}{TARGETS[target].replace('NEXT', cursor)}", tmp_path)

    answers = Counter(
        line["status"] for line in stand.service.log_lines[logged:] if line["msg"] == "HTTP request"
    )
    with capsys.disabled():
        seconds = monotonic_seconds() - started
        sys.stdout.write(f"\n{target}: {answers.total()} requests in {seconds:.0f} s, {dict(answers)}\n")
    assert "all tested parameters do not appear to be injectable" in output, output
    assert "injection point" not in output, output
    assert answers.total() > 100, output
    assert set(answers) <= {200, 400, 404}
    with stand.owner() as owner:
        assert contents(owner) == before


def contents(owner: Connection) -> Row[int, int]:
    """Return how many incidents there are, and their newest change."""
    columns = func.count(), func.max(resource_action_traces.c.updated_at)
    return owner.execute(select(*columns).select_from(resource_action_traces)).one()


def attack(url: str, directory: Path) -> str:
    """Let sqlmap try every parameter of ``url`` and return what it printed."""
    program = Path(sys.executable).with_name("sqlmap")
    found = str(program) if program.is_file() else shutil.which("sqlmap")
    assert found, "sqlmap is missing: tox run -e sqlmap installs it"
    names = [part.partition("=")[0] for part in url.partition("?")[2].split("&") if part]
    chosen = ["-p", ",".join(names)] if names else []
    finished = subprocess.run(  # noqa: S603 - our own command
        [found, "-u", url, *chosen, *ATTACK, "--batch", "--flush-session", "--disable-coloring",
         "--ignore-code=400,404", "--output-dir", directory],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )  # fmt: skip
    return finished.stdout
