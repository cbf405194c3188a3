"""``notification_audit`` in PostgreSQL: one public method is one transaction."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from datastorage.notifications.model import MEMBERS, Notification
from datastorage.notifications.tables import notification_audit
from datastorage.platform.db.database import Database
from datastorage.platform.db.row_json import row_json
from datastorage.settings import AuditSettings, DatabaseSettings

_WRITTEN = tuple(each.name for each in MEMBERS if not each.is_set_by_database)
_ROW_JSON = row_json(MEMBERS, notification_audit.c)


class NotificationStore:
    """Appends delivery records; every method raises a classified ``DatabaseError``."""

    def __init__(self, database: Database, audit: AuditSettings, settings: DatabaseSettings) -> None:
        self._database = database
        self._timeout = audit.write_timeout
        self._lock_timeout = settings.write_lock_timeout

    def append(self, notification: Notification) -> str | None:
        """Store a record and return it as JSON, or ``None`` when its ``notification_id`` is taken."""
        statement = (
            insert(notification_audit)
            .values({name: getattr(notification, name) for name in _WRITTEN})
            .on_conflict_do_nothing(index_elements=[notification_audit.c.notification_id])
            .returning(_ROW_JSON)
        )
        return self._database.write(
            lambda connection: connection.execute(statement).scalar(),
            timeout=self._timeout,
            lock_timeout=self._lock_timeout,
        )

    def is_stored(self, notification: Notification) -> bool:
        """Tell whether exactly this record is stored."""
        same = [
            notification_audit.c[name].is_not_distinct_from(getattr(notification, name)) for name in _WRITTEN
        ]
        statement = select(notification_audit.c.id).where(*same)
        return self._database.read(lambda connection: connection.execute(statement).first() is not None)
