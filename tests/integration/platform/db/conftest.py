from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings

OpenDatabase = Callable[..., Database]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def open_database(settings: Settings, metrics: Metrics) -> Iterator[OpenDatabase]:
    """Open pools: ``open_database(share=2, pool_timeout=...)``; closed at the end."""
    opened: list[Database] = []

    def open_it(share: int = 3, **changed: Any) -> Database:
        database = Database(replace(settings.database, **changed), share=share, metrics=metrics)
        opened.append(database)
        return database

    yield open_it
    for database in opened:
        database.close()


@pytest.fixture
def db(open_database: OpenDatabase) -> Database:
    return open_database()
