"""Services that are started with changed settings, and stopped together."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.servers import TestDatabase
from tests.support.service import ServiceProcess
from tests.support.tls import Pair

StartService = Callable[..., ServiceProcess]


@contextmanager
def started_services(
    database: TestDatabase,
    redis_url: str,
    directories: pytest.TempPathFactory,
    kind: type[ServiceProcess] = ServiceProcess,
) -> Iterator[StartService]:
    """Yield what starts a service of a kind; the services are stopped at the end."""
    url = database.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
    started: list[ServiceProcess] = []

    def start(tls: tuple[Pair, ssl.SSLContext] | None = None, **changed: str) -> ServiceProcess:
        started.append(kind(directories.mktemp("service"), url, redis_url, **changed))
        if tls is not None:
            started[-1].use_tls(*tls)
        return started[-1].start()

    yield start
    for service in started:
        service.stop()
