"""One line in the record and a migration: the new member is written, read, queued, found and documented."""

from typing import Any

import pytest

from tests.integration.changes.conftest import MakeCopy
from tests.support.servers import Servers, migrated_database

BEHIND = "    event_date: Annotated[date, Member(\n"
LINE = '    region: Annotated[str | None, text("Region of the cluster.", 60, filters=ANY_TEXT)] = None\n'
MIGRATION = '''"""Add the region of an event."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit_events", sa.Column("region", sa.String(60)))
'''


@pytest.fixture(scope="module")
def seen(make_copy: MakeCopy, servers: Servers) -> Any:
    copy = make_copy("added_column")
    copy.replace("datastorage/audit/event.py", BEHIND, LINE + BEHIND)
    head = (copy.folder / "alembic" / "head").read_text(encoding="utf-8").strip()
    copy.write("alembic/versions/9999_add_region.py", MIGRATION.format(head=head))
    with migrated_database(servers.postgres_url) as database:
        return copy.run(
            "follow_column.py",
            owner_url=database.owner_url.set(drivername="postgresql").render_as_string(hide_password=False),
            app_url=database.app_url.set(drivername="postgresql").render_as_string(hide_password=False),
            redis_url=servers.redis_url.rpartition("/")[0] + "/8",
        )


def test_member_is_judged_stored_and_compared(seen: Any) -> None:
    created, another, again, differing, too_long, queued = seen["statuses"]

    assert (created, another, again) == (201, 201, 200)
    assert (differing, too_long, queued) == (409, 400, 202)


def test_member_is_read_again(seen: Any) -> None:
    assert seen["read"] == "eu-1"


def test_member_survives_the_queue(seen: Any) -> None:
    assert seen["replayed"] == ["STORED", "eu-1"]


def test_member_is_a_filter_of_page_and_count(seen: Any) -> None:
    assert (seen["page"], seen["total"]) == (True, 2)


def test_document_names_the_member(seen: Any) -> None:
    assert seen["request"]["maxLength"] == 60
    assert seen["answer"]["type"] == ["string", "null"]
    assert seen["request"]["description"] == seen["answer"]["description"] == "Region of the cluster."
    assert seen["is_parameter"]
