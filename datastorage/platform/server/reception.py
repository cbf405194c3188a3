"""The connections of a worker while no thread has them: those that wait for requests, and those that end.

Each port has limits of its own: a crowd at the API never takes the places of those who measure.
"""

from selectors import BaseSelector
from typing import Final

from datastorage.platform.server.arrivals import Actions, Arrivals, Limits
from datastorage.platform.server.body_budget import BodyBudget
from datastorage.platform.server.goodbyes import Goodbyes
from datastorage.platform.server.slow_clients import PatientConnection
from datastorage.settings import ServerSettings

METRICS_CONNECTIONS: Final = 64
"""Open connections of the metrics port, whoever has them."""


class Reception:
    """The connections of one worker. For the main thread alone.

    Args:
        poller: tells when something has come.
        settings: limits and deadlines.
        silent_seconds: how long a connection may wait for a request.
        actions: what the worker does with a connection.
    """

    def __init__(
        self, poller: BaseSelector, settings: ServerSettings, silent_seconds: float, actions: Actions
    ) -> None:
        self._metrics_port = settings.metrics_port
        self._close_socket = actions.close
        actions = actions._replace(close=self._close)
        self._budget = BodyBudget(settings.body_budget)
        self._goodbyes = Goodbyes(poller, settings.max_body_bytes, self._close)
        api = Limits(
            silent=silent_seconds,
            head=settings.head_timeout.total_seconds(),
            body=settings.read_timeout.total_seconds(),
            connections=settings.max_connections,
            connections_per_address=settings.max_connections_per_address,
            exempt=settings.is_trusted_proxy,
        )
        metrics = api._replace(connections=METRICS_CONNECTIONS, connections_per_address=METRICS_CONNECTIONS)
        self._api = Arrivals(poller, api, self._budget, self._goodbyes, actions)
        self._metrics = Arrivals(poller, metrics, self._budget, self._goodbyes, actions)

    @property
    def body_bytes(self) -> int:
        """Bytes of bodies that arrive or are worked on."""
        return self._budget.in_flight_bytes

    def accept(self, conn: PatientConnection) -> None:
        """Wait for the first request of a new connection."""
        self._of(conn).accept(conn)

    def finish(self, conn: PatientConnection, *, is_kept: bool) -> None:
        """Take a connection from its thread: to wait for the next request, or to end."""
        arrivals = self._of(conn)
        arrivals.finish(conn)
        if is_kept:
            arrivals.resume(conn)
        elif conn.is_closed or conn.taken is not None:
            self._close(conn)
        else:
            self._goodbyes.say(conn)

    def expire(self) -> None:
        """End what has waited too long."""
        for arrivals in (self._api, self._metrics):
            arrivals.expire()
        self._goodbyes.expire()

    def cap(self, deadline: float) -> None:
        """Wait until ``deadline`` for heads, at most."""
        for arrivals in (self._api, self._metrics):
            arrivals.cap(deadline)

    def close_without_head(self) -> None:
        """Close the connections that have not begun a request, or not finished its head."""
        for arrivals in (self._api, self._metrics):
            arrivals.close_without_head()

    def _of(self, conn: PatientConnection) -> Arrivals:
        return self._metrics if conn.port == self._metrics_port else self._api

    def _close(self, conn: PatientConnection) -> None:
        self._of(conn).forget(conn)
        self._close_socket(conn)
