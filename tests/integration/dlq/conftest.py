from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from tests.support.pods import HandClock, Pod, connect

DATABASE = 9
"""These tests empty it; everybody else uses 0."""

StartPod = Callable[..., Pod]


@pytest.fixture(scope="session")
def queue_url(redis_url: str) -> str:
    return redis_url.rpartition("/")[0] + f"/{DATABASE}"


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def client_of_each_protocol(queue_url: str, request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    with connect(queue_url, protocol=request.param) as client:
        client.flushdb()
        yield client


@pytest.fixture
def client(queue_url: str) -> Iterator[redis.Redis]:
    with connect(queue_url) as client:
        client.flushdb()
        yield client


@pytest.fixture
def start_pod(client: redis.Redis) -> StartPod:
    """Several pods on one Redis and one clock."""
    clock = HandClock()

    def start(name: str = "pod-a", **redis_settings: Any) -> Pod:
        return Pod(client, name, clock, **redis_settings)

    return start


@pytest.fixture
def pod(start_pod: StartPod) -> Pod:
    return start_pod()


Line = dict[str, Any]
Lines = Callable[[str], list[Line]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Return the fields of every log entry with a given message."""
    caplog.set_level("INFO", logger="datastorage.dlq")

    def with_message(message: str) -> list[Line]:
        return [vars(record) for record in caplog.records if record.getMessage() == message]

    return with_message
