"""The metrics directory goes away while the service runs."""

import shutil
from pathlib import Path

from tests.conftest import StartService
from tests.support.builders import EVENTS, an_event


def test_requests_go_on_without_the_directory(start_service: StartService) -> None:
    service = start_service()
    directory = Path(service.directory, "runtime", "metrics")
    assert list(directory.glob("*.db"))
    shutil.rmtree(directory)

    statuses = {service.api.post(EVENTS, an_event()).status for _ in range(10)}

    assert statuses == {201}
    assert service.api.get(EVENTS).status == 200
