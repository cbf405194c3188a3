"""The table ``notification_audit`` on a real server."""

import psycopg
import pytest
from sqlalchemy import Connection, insert, text

from datastorage.tables import notification_audit
from tests.support.event_rows import a_notification_row
from tests.support.schema import refused

INDEXES = {
    "idx_notification_audit_notification_id",
    "idx_notification_audit_remediation_id",
    "idx_notification_audit_channel",
    "idx_notification_audit_status",
    "idx_notification_audit_created_at",
}


def test_every_index_of_the_contract_exists(owner: Connection) -> None:
    names = owner.scalars(text("SELECT indexname FROM pg_indexes WHERE tablename = 'notification_audit'"))

    assert set(names) == INDEXES | {"pk_notification_audit", "uq_notification_audit_notification_id"}


def test_database_numbers_and_dates_a_record(owner: Connection) -> None:
    stored = owner.execute(
        insert(notification_audit).returning(notification_audit), a_notification_row()
    ).one()

    assert stored.id > 0
    assert stored.escalation_level == 0
    assert stored.created_at == stored.updated_at


def test_notification_id_is_unique(owner: Connection) -> None:
    row = a_notification_row()
    owner.execute(insert(notification_audit), row)

    with refused(owner, "23505") as caught:
        owner.execute(insert(notification_audit), row)

    assert constraint_of(caught.value.orig) == "uq_notification_audit_notification_id"


@pytest.mark.parametrize("channel", ["email", "slack", "pagerduty", "sms", "webhook"])
def test_known_channels_are_stored(owner: Connection, channel: str) -> None:
    owner.execute(insert(notification_audit), a_notification_row(channel=channel))


@pytest.mark.parametrize("status", ["sent", "failed", "acknowledged", "escalated", "pending"])
def test_known_statuses_are_stored(owner: Connection, status: str) -> None:
    owner.execute(insert(notification_audit), a_notification_row(status=status))


@pytest.mark.parametrize(("column", "value"), [("channel", "fax"), ("channel", "Email"), ("status", "SENT")])
def test_unknown_values_violate_a_named_constraint(owner: Connection, column: str, value: str) -> None:
    with refused(owner, "23514") as caught:
        owner.execute(insert(notification_audit), a_notification_row(**{column: value}))

    assert constraint_of(caught.value.orig) == f"ck_notification_audit_{column}"


def constraint_of(error: BaseException | None) -> str | None:
    assert isinstance(error, psycopg.Error)
    return error.diag.constraint_name
