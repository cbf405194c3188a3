"""The arbiter dies without a word: its workers leave, and whoever starts it again finds the ports free."""

import signal
import sys

import pytest

from tests.support.builders import EVENTS, an_event
from tests.support.dev import Processes
from tests.support.processes import descendants
from tests.support.started import StartService
from tests.support.waiting import eventually

QUICKLY_SECONDS = 10
WORKERS = 2

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def test_workers_leave_although_a_client_goes_on(start_service: StartService) -> None:
    own = start_service()
    eventually(lambda: len(descendants(own.pid)) == WORKERS)  # the first to be ready may be there alone
    workers = Processes(descendants(own.pid))
    assert own.api.post(EVENTS, an_event()).headers.get("Connection") != "close"

    own.signal(signal.SIGKILL)
    own.wait()

    def is_told_to_leave() -> bool:
        return own.api.post(EVENTS, an_event()).headers.get("Connection") == "close"

    eventually(is_told_to_leave, QUICKLY_SECONDS)
    assert workers.have_ended(QUICKLY_SECONDS)
    assert own.start().api.post(EVENTS, an_event()).status == 201
