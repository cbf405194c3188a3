"""The metrics directory goes away while the service runs."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.support.builders import EVENTS, an_event
from tests.support.processes import descendants
from tests.support.started import StartService
from tests.support.timeline import Watched, kill
from tests.support.waiting import eventually


def test_requests_go_on_without_the_directory(start_service: StartService) -> None:
    service = start_service()
    directory = Path(service.directory, "runtime", "metrics")
    assert list(directory.glob("*.db"))
    shutil.rmtree(directory)

    statuses = {service.api.post(EVENTS, an_event()).status for _ in range(10)}

    assert statuses == {201}
    assert service.api.get(EVENTS).status == 200


@pytest.mark.parametrize("in_its_place", ["nothing", "a file"])
def test_killed_worker_is_replaced_without_it(start_service: StartService, in_its_place: str) -> None:
    watched = Watched(start_service(SERVER_WORKERS="1"))
    directory = Path(watched.service.directory, "runtime", "metrics")
    shutil.rmtree(directory)
    if in_its_place == "a file":
        directory.touch()
    [victim] = descendants(watched.service.pid)

    kill(victim)
    eventually(lambda: victim not in descendants(watched.service.pid))

    eventually(lambda: watched.ask(EVENTS, an_event()).status == 201)
    warnings = [line for line in watched.service.log_lines if line["msg"] == "Metrics directory not writable"]
    assert bool(warnings) == (in_its_place == "a file")
    watched.service.signal(signal.SIGTERM)
    assert watched.service.wait() == 0
