"""The text of a stored event, which is evidence, byte for byte as it was when the vectors were made.

When a test here fails, the texts of events that are sealed already have changed: undo it. A new member is
shown when set, stands at the end, and is NULL in older rows.
"""

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from datastorage.audit.reader import AuditReader
from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.platform.db.database import Database
from datastorage.platform.exports import Exports
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings
from tests.support.golden_log import owner_of
from tests.support.golden_rows import GOLDEN, golden_rows_in
from tests.support.ledger_vectors import texts
from tests.support.servers import migrated_database

OLDER = (15, 17)


@pytest.fixture(scope="module")
def golden_rows(owner_engine: Engine) -> Iterator[None]:
    with owner_engine.connect() as owner, golden_rows_in(owner):
        yield


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["why"].replace(" ", "-"))
@pytest.mark.usefixtures("golden_rows")
def test_text_of_a_golden_row_has_not_changed(reader: AuditReader, golden: dict[str, Any]) -> None:
    assert_text(reader, golden)


def assert_text(reader: AuditReader, golden: dict[str, Any]) -> None:
    expected = texts()[golden["leaf_index"]]

    found = bytes(reader.find(UUID(golden["row"]["event_id"])))

    assert found == expected
    assert sha256(found).digest() == sha256(expected).digest()


class InstalledPostgres(EmbeddedPostgres):
    """A server of the distribution."""

    folder: Path

    def _find_binary(self) -> Path:
        return self.folder / "postgres"


@pytest.mark.parametrize("major", OLDER)
def test_texts_are_the_same_on_older_servers(major: int, tmp_path: Path, redis_url: str) -> None:
    folder = Path(f"/usr/lib/postgresql/{major}/bin")
    if not (folder / "postgres").is_file():
        pytest.skip(f"PostgreSQL {major} is not installed (Debian: postgresql-{major})")
    server = InstalledPostgres(tmp_path / "postgres")
    server.folder = folder
    metrics = Metrics()
    exports = Exports("audit", maximum=1, longest=timedelta(minutes=1), metrics=metrics)

    with (
        server as postgres,
        migrated_database(postgres.url("postgres")) as database,
        owner_of(database) as owner,
        golden_rows_in(owner),
    ):
        url = database.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
        environ = {"DATASTORAGE_DATABASE_URL": url, "DATASTORAGE_REDIS_URL": redis_url}
        connections = Database(Settings.from_environ(environ).database, share=1, metrics=metrics)
        reader = AuditReader(connections, exports, metrics, max_page_bytes=1 << 20)
        for golden in GOLDEN:
            assert_text(reader, golden)
        connections.close()
