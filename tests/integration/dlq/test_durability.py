"""What is acknowledged survives the death of Redis, also on a slow disk with a flush under way."""

import re
import shutil
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

import pytest
import redis

from datastorage.dlq.admin import QueueAdmin
from datastorage.dlq.durability import Durability
from datastorage.dlq.entry import decode
from datastorage.embedded.redis import EmbeddedRedis
from datastorage.errors import QueueUnusable
from tests.integration.dlq.conftest import Lines
from tests.lab.slow_disk import COMPILER, SlowDisk, SlowRedis
from tests.support.pods import EVENTS, NO_PARTITION, Pod, connect
from tests.support.service import free_port
from tests.support.threads import Running
from tests.support.waiting import eventually

WITHOUT_WAITAOF = {"rename-command WAITAOF": ""}
"""As Redis was before 7.2."""

FLUSH_SECONDS = 0.5


@pytest.fixture
def disk(tmp_path: Path) -> SlowDisk:
    return SlowDisk(tmp_path / "disk")


class Clients(Running):
    """Threads that queue events one by one until told to stop; ``acknowledged`` is what they were promised.

    Args:
        server: where the queue is.
        number: how many there are.
    """

    def __init__(self, server: EmbeddedRedis, number: int = 4) -> None:
        self.acknowledged: set[str] = set()
        self._stopping = Event()
        self._client = connect(server.url)
        self._threads = [Thread(target=self._send) for _ in range(number)]

    def _send(self) -> None:
        pod = Pod(self._client)
        while not self._stopping.is_set():
            with suppress(QueueUnusable):
                self.acknowledged.update(pod.park_events(1))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._client.close()


def kill_in_mid_flush(server: EmbeddedRedis, disk: SlowDisk) -> tuple[int, int]:
    """Kill Redis under load; return how many entries were acknowledged, and how many of them are gone."""
    with Clients(server) as clients, disk.slow(FLUSH_SECONDS):
        eventually(lambda: len(clients.acknowledged) > 3)
        eventually(lambda: disk.is_in_mid_flush(FLUSH_SECONDS / 2))
        server.kill()
    server.start()
    with connect(server.url) as client:
        kept = Pod(client).ids()
    return len(clients.acknowledged), len(clients.acknowledged - kept)


@pytest.mark.skipif(COMPILER is None, reason="the slow disk is compiled")
@pytest.mark.parametrize("policy", ["everysec", "always"])
def test_kill_in_mid_flush_loses_nothing_acknowledged(tmp_path: Path, disk: SlowDisk, policy: str) -> None:
    settings = {"appendfsync": policy}
    with SlowRedis(tmp_path / "redis", disk, settings=settings) as server:
        acknowledged, lost = kill_in_mid_flush(server, disk)

    assert acknowledged > 0
    assert lost == 0


@pytest.mark.parametrize(
    ("settings", "require_aof", "is_durable", "is_accepted"),
    [
        ({"appendfsync": "always"}, "auto", True, True),
        ({"appendfsync": "always"}, "true", True, True),
        ({"appendfsync": "always"}, "false", True, True),
        ({"appendfsync": "everysec"}, "auto", True, True),
        ({"appendfsync": "everysec"}, "true", True, True),
        ({"appendfsync": "everysec"}, "false", False, True),
        ({"appendfsync": "always", **WITHOUT_WAITAOF}, "auto", True, True),
        ({"appendfsync": "always", **WITHOUT_WAITAOF}, "true", True, True),
        ({"appendfsync": "everysec", **WITHOUT_WAITAOF}, "auto", False, True),
        ({"appendfsync": "everysec", **WITHOUT_WAITAOF}, "true", False, False),
        ({"appendonly": "no"}, "auto", False, True),
        ({"appendonly": "no"}, "true", False, False),
        ({"appendonly": "no"}, "false", False, True),
        # It has WAITAOF and never confirms: nothing is acknowledged, so nothing can be lost.
        ({"appendfsync": "no"}, "auto", True, False),
        ({"appendfsync": "everysec", "rename-command CONFIG": ""}, "true", True, True),
        ({"appendfsync": "always", "rename-command CONFIG": "", **WITHOUT_WAITAOF}, "auto", False, True),
    ],
)
def test_server_and_setting_decide_what_is_acknowledged(
    tmp_path: Path, settings: dict[str, str], require_aof: str, *, is_durable: bool, is_accepted: bool
) -> None:
    with EmbeddedRedis(tmp_path, settings=settings) as server, connect(server.url) as client:
        pod = Pod(client, dlq_require_aof=require_aof)

        outcome = nullcontext() if is_accepted else pytest.raises(QueueUnusable)
        with outcome:
            pod.park_events(2)

        assert pod.durability.is_durable() is is_durable
        assert pod.value("dlq_durable") == is_durable
        refused = 0 if is_accepted else 2
        assert pod.value("dlq_enqueue_failures_total", stream="events", reason="not_durable") == refused


def test_server_that_comes_back_with_other_settings_is_asked_again(tmp_path: Path) -> None:
    port = free_port()
    with EmbeddedRedis(tmp_path, port=port, settings={"appendonly": "no"}) as careless:
        client = connect(careless.url)
        pod = Pod(client)
        pod.park_events(1)
        assert not pod.durability.ask().can_confirm

    with EmbeddedRedis(tmp_path, port=port, settings={"appendfsync": "no"}), client:
        with suppress(redis.ConnectionError):
            client.ping()  # notices that the old connection is gone
        with pytest.raises(QueueUnusable):
            pod.park_events(1)

        assert pod.durability.ask().can_confirm


def test_volatile_queue_is_named_at_the_start_and_every_hour(own_client: redis.Redis, lines: Lines) -> None:
    seconds = iter((0.0, 1800.0, 3599.0, 3600.0, 5000.0, 8000.0))
    pod = Pod(own_client, dlq_require_aof="false")
    durability = Durability(own_client, pod.settings, pod.metrics, clock=lambda: next(seconds))

    own_client.config_set("appendfsync", "everysec")
    volatile = [durability.is_durable() for _ in range(5)]
    own_client.config_set("appendfsync", "always")
    durable = durability.is_durable()

    assert (set(volatile), durable) == ({False}, True)
    warnings = lines("Queue is not durable")
    assert [line["levelname"] for line in warnings] == ["WARNING", "WARNING"]
    assert (warnings[0]["appendonly"], warnings[0]["appendfsync"]) == (True, "everysec")
    assert pod.value("dlq_durable") == 1


@pytest.fixture
def own_client(tmp_path: Path) -> Iterator[redis.Redis]:
    with EmbeddedRedis(tmp_path) as server, connect(server.url) as client:
        yield client


def test_record_is_in_one_place_wherever_the_append_only_file_ends(tmp_path: Path) -> None:
    """A queued record is parked, tried again, given up and brought back: no cut may take it away."""
    with EmbeddedRedis(tmp_path / "redis") as server, connect(server.url) as client:
        pod = Pod(client, dlq_max_retries=2)
        pod.archive.always(NO_PARTITION)
        [event_id] = pod.park_events(1, NO_PARTITION)
        [log] = (tmp_path / "redis" / "appendonlydir").glob("*.incr.aof")
        begun = log.stat().st_size
        for _ in range(3):
            pod.worker().run_cycle()
            pod.clock.advance(hours=1)
        admin = QueueAdmin(client)
        [letter] = admin.entries(EVENTS, dead=True)
        admin.bring_back(EVENTS, letter, pod.clock())
        pod.worker().run_cycle()
        admin.make_due(EVENTS, pod.settings.dlq_backoff, pod.clock())
        server.kill()

    content = log.read_bytes()
    cuts = [begun, *(at for at in commands_in(content) if at > begun), len(content)]
    assert len(cuts) > 20
    for number, cut in enumerate(cuts):
        assert places_after(tmp_path, content[:cut], log.name, number).count(event_id) == 1, cut


def commands_in(content: bytes) -> list[int]:
    """Return positions inside of every command of an append-only file."""
    return [found.start() + 5 for found in re.finditer(rb"\*[0-9]+\r\n\$", content)]


def places_after(tmp_path: Path, content: bytes, name: str, number: int) -> list[str]:
    """Return the ids of all records that a Redis finds which starts with an append-only file cut off."""
    directory = tmp_path / f"cut-{number}"
    shutil.copytree(tmp_path / "redis", directory)
    (directory / "appendonlydir" / name).write_bytes(content)
    with EmbeddedRedis(directory) as server, connect(server.url) as client:
        admin = QueueAdmin(client)
        places = [*admin.entries(EVENTS), *admin.parked(EVENTS), *admin.entries(EVENTS, dead=True)]
    shutil.rmtree(directory)
    return [decode(each.message).record_id for each in places]
