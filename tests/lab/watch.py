"""Looks at a service each second: do both ports answer, and how much memory does the pod hold?"""

import time
from threading import Event, Thread

import urllib3

from tests.support.processes import pss_mib
from tests.support.service import ServiceProcess
from tests.support.threads import Running

PROBE_SECONDS = 1.0
"""How soon a probe has to be answered: half of what the manifests allow."""
PATH = "/health/live"


class Watch(Running):
    """Probes on connections of their own, as a kubelet's are.

    Args:
        service: running.
    """

    def __init__(self, service: ServiceProcess) -> None:
        self.slowest_probe_seconds = 0.0
        """``inf`` when one was not answered 200; see ``complaint``."""
        self.complaint: str | None = None
        self.highest_pss_mib = 0.0
        self._service = service
        self._stopping = Event()
        self._threads = [
            Thread(target=self._probe, args=(service.port,), name="probe-api"),
            Thread(target=self._probe, args=(service.metrics_port,), name="probe-metrics"),
            Thread(target=self._weigh, name="memory"),
        ]

    def _probe(self, port: int) -> None:
        while not self._stopping.wait(1):
            begun = time.monotonic()
            try:
                answer = urllib3.request("GET", f"http://127.0.0.1:{port}{PATH}", timeout=10, retries=False)
                complaint = None if answer.status == 200 else f"{port}: {answer.status}"
            except urllib3.exceptions.HTTPError as error:
                complaint = f"{port}: {error}"
            seconds = float("inf") if complaint else time.monotonic() - begun
            self.complaint = self.complaint or complaint
            self.slowest_probe_seconds = max(self.slowest_probe_seconds, seconds)

    def _weigh(self) -> None:
        while not self._stopping.wait(1):
            self.highest_pss_mib = max(self.highest_pss_mib, pss_mib(self._service.pid))
