from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests.api.dlq.desk import Desk
from tests.api.dlq.proxied import ProxiedService
from tests.lab.proxy import Proxy
from tests.support.isolated import IsolatedService, isolated_service
from tests.support.service import ServiceProcess

IN_A_HURRY = {
    "SERVER_WORKERS": "1",
    "REDIS_DLQ_POLL_INTERVAL": "500ms",
    "REDIS_DLQ_READ_TIMEOUT": "200ms",
    "REDIS_DLQ_BACKOFF": "1s,2s",
    "REDIS_DLQ_MAX_RETRIES": "50",
    "LIMITS_MAX_EVENT_AGE": "off",
    "LIMITS_MAX_EVENT_AHEAD": "off",
}
"""Recovery within seconds; far months are accepted, so that a test may break one that is its own."""


@pytest.fixture(scope="session")
def hurried_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IsolatedService]:
    """One service that replays at once, with servers of its own."""
    with isolated_service(tmp_path_factory.mktemp("hurried"), **IN_A_HURRY) as isolated:
        yield isolated


@pytest.fixture
def isolated(hurried_session: IsolatedService) -> Iterator[IsolatedService]:
    """A service whose servers the test may break; they are brought back, and what is queued is stored."""
    hurried_session.restore()
    yield hurried_session
    hurried_session.restore()
    with redis.Redis.from_url(hurried_session.redis.url) as client:
        Desk(hurried_session, client).wait_until_empty()
        client.flushall()


@pytest.fixture
def desk(isolated: IsolatedService) -> Iterator[Desk]:
    """What lies in the queue, and what came of it."""
    with redis.Redis.from_url(isolated.redis.url) as client:
        yield Desk(isolated, client)


StartProxied = Callable[..., ProxiedService]


@pytest.fixture
def start_proxied(isolated: IsolatedService, tmp_path: Path) -> Iterator[StartProxied]:
    """Start a further service with a queue of its own, and a proxy between it and the database."""
    with ExitStack() as stack:

        def start(**changed: str) -> ProxiedService:
            proxy = Proxy(isolated.postgres.port)
            stack.callback(proxy.close)
            url = isolated.database.app_url.set(drivername="postgresql", port=proxy.port, host="127.0.0.1")
            redis_url = isolated.redis.url.rpartition("/")[0] + "/1"
            service = ServiceProcess(
                tmp_path / "proxied",
                url.render_as_string(hide_password=False),
                redis_url,
                **(IN_A_HURRY | changed),
            )
            stack.enter_context(service)
            client = stack.enter_context(redis.Redis.from_url(redis_url))
            return ProxiedService(service, proxy, Desk(isolated, client, service.api))

        yield start
