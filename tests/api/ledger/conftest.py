"""Services whose ledger is their own: each database has one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Connection

from datastorage.ledger.store import LedgerStore
from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings
from tests.support.golden_log import owner_of, store_golden_log
from tests.support.ledger_stand import LedgerStand
from tests.support.ledger_vectors import document
from tests.support.servers import Servers, TestDatabase, migrated_database

StartLedger = Callable[..., LedgerStand]


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The key of the golden log."""
    file = tmp_path_factory.mktemp("keys") / "key.pem"
    file.write_text(document("keys.json")["key"]["private_pem"])
    return file


@pytest.fixture(scope="module")
def start_ledger(
    servers: Servers, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartLedger]:
    """Start a service on a new database, with settings; the last of each is stopped at the end."""
    with ExitStack() as stack:

        def start(**changed: str) -> LedgerStand:
            database = stack.enter_context(migrated_database(servers.postgres_url))
            folder = tmp_path_factory.mktemp("ledger")
            return stack.enter_context(LedgerStand(database, redis_url, folder, changed))

        yield start


@pytest.fixture(scope="module")
def signed(start_ledger: StartLedger, key_file: Path) -> LedgerStand:
    """A service that signs."""
    return start_ledger(LEDGER_SIGNING_KEY_FILE=str(key_file), LEDGER_ORIGIN=document("keys.json")["origin"])


@pytest.fixture
def owner(signed: LedgerStand) -> Iterator[Connection]:
    """The owner of the tables of ``signed``."""
    with owner_of(signed.database) as connection:
        yield connection


@pytest.fixture(scope="module")
def golden(
    servers: Servers, redis_url: str, tmp_path_factory: pytest.TempPathFactory, key_file: Path
) -> Iterator[LedgerStand]:
    """A service with the golden log."""
    with migrated_database(servers.postgres_url) as database:
        with owner_of(database) as owner:
            store_golden_log(owner)
        seal_all(database, redis_url)
        origin = document("keys.json")["origin"]
        settings = {"LEDGER_SIGNING_KEY_FILE": str(key_file), "LEDGER_ORIGIN": origin}
        with LedgerStand(database, redis_url, tmp_path_factory.mktemp("golden"), settings) as stand:
            yield stand


def seal_all(database: TestDatabase, redis_url: str) -> None:
    url = database.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
    settings = Settings.from_environ({"DATASTORAGE_DATABASE_URL": url, "DATASTORAGE_REDIS_URL": redis_url})
    connections = Database(settings.database, share=1, metrics=Metrics())
    LedgerStore(connections).seal(1000)
    connections.close()
