"""What the commands are handed, and how they reach Redis with it."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import click
import redis

from datastorage.dlq.admin import QueueAdmin
from datastorage.dlq.entry import Stream
from datastorage.dlq.keys import Delivery
from datastorage.dlq.replay import Replayer
from datastorage.dlq.stream import RedisQueue
from datastorage.errors import DataStorageError
from datastorage.platform.metrics import Metrics
from datastorage.settings import RedisSettings, Settings


@dataclass(frozen=True, slots=True)
class Replaying:
    """What brings records back to the database, for the time of one command."""

    replayer: Replayer
    database_answers: Callable[[], bool]
    metrics: Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Discard:
    """Who throws a dead letter away, and why; ``record_id`` is empty when there is no record in it."""

    stream: Stream
    entry_id: str
    record_id: str
    correlation_id: str
    failure: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backing:
    """What the commands are handed.

    ``record_discard`` is called before anything is deleted, and prevents that by raising a
    ``DataStorageError``.
    """

    connect: Callable[[RedisSettings], redis.Redis]
    replaying: Callable[[Settings, RedisQueue], AbstractContextManager[Replaying]]
    record_discard: Callable[[Settings, Discard], None]


@contextmanager
def connected(settings: Settings, backing: Backing) -> Iterator[redis.Redis]:
    """Yield a client; what goes wrong becomes one sentence."""
    with backing.connect(settings.redis) as client:
        try:
            yield client
        except (redis.RedisError, OSError) as error:
            raise click.ClickException(f"Redis: {error}") from error
        except DataStorageError as error:
            raise click.ClickException(error.detail) from error


def queue_of(client: redis.Redis, settings: RedisSettings) -> RedisQueue:
    """Return the queue for one command."""
    # A name of its own: the entries in the hands of the service in this pod stay in its hands.
    return RedisQueue(
        client,
        group=settings.dlq_consumer_group,
        consumer=f"{socket.gethostname()}-cli-{os.getpid()}",
        max_len=settings.dlq_max_len,
        dead_max_len=settings.dlq_dead_letter_max_len,
    )


def find_entry(admin: QueueAdmin, stream: Stream, entry_id: str, *, dead: bool) -> Delivery:
    """Return one entry.

    Raises:
        click.ClickException: there is none.
    """
    entry = admin.find(stream, entry_id, dead=dead)
    if entry is None:
        place = "dead letters" if dead else "queue"
        raise click.ClickException(f"There is no entry {entry_id} in the {place} of {stream}.")
    return entry
