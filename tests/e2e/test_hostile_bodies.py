"""Bodies that are within every limit and expensive all the same: the pod's memory holds, and comes back."""

from collections.abc import Iterator

import pytest

from tests.support.builders import EVENTS, an_event
from tests.support.hostile_bodies import hostile_bodies, memory_mib, send_in_turns, watched_memory
from tests.support.service import ServiceProcess
from tests.support.started import StartService
from tests.support.waiting import eventually

POD_MIB = 512
"""The limit of the container in ``k8s/``."""
CLIENTS = 4
TURNS = 6


@pytest.fixture
def as_in_the_pod(start_service: StartService) -> Iterator[ServiceProcess]:
    """Two workers, as the image starts them."""
    service = start_service(SERVER_WORKERS="2")
    yield service
    service.stop()


def test_memory_is_bounded_and_given_back(as_in_the_pod: ServiceProcess) -> None:
    service, bodies = as_in_the_pod, hostile_bodies()
    for _ in range(50):
        assert service.api.post(EVENTS, an_event()).status == 201
    before = memory_mib(service.pid)

    with watched_memory(service.pid) as watch:
        found = send_in_turns(service.api, bodies, TURNS * len(bodies), CLIENTS)

    assert watch.peak_mib < POD_MIB
    assert found == {name: {body.status} for name, body in bodies.items()}
    eventually(lambda: memory_mib(service.pid) < before + 0.5 * POD_MIB)
    assert service.api.post(EVENTS, an_event()).status == 201
