"""Whoever replays may be killed at any moment, again and again: the records it held are as good as before."""

import os
import signal
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, NullPool, create_engine, make_url, text

from tests.api.dlq.conftest import StartProxied
from tests.lab.proxy import Mode
from tests.support.builders import EVENTS, NOTIFICATIONS, a_notification, an_event
from tests.support.isolated import IsolatedService
from tests.support.waiting import eventually

KILLS = 8
"""Three more than an entry may be delivered."""

WAITING = text(
    "SELECT pid, application_name FROM pg_stat_activity "
    "WHERE wait_event_type = 'Lock' AND application_name LIKE 'datastorage/%' "
    "ORDER BY backend_start DESC LIMIT 1"
)


@pytest.fixture
def superuser(isolated: IsolatedService) -> Iterator[Connection]:
    """A connection that sees what everybody else waits for."""
    url = make_url(isolated.postgres.url("postgres")).set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


class Watch:
    """Finds the process that is in the middle of a write, again and again another one."""

    def __init__(self, superuser: Connection) -> None:
        self._superuser = superuser
        self._last: int | None = None

    def next_writer(self) -> int:
        """Wait until a further process waits for the lock, and return its process id."""
        eventually(self._is_there, timeout_seconds=30)
        return self._writer

    def _is_there(self) -> bool:
        found = self._superuser.execute(WAITING).first()
        if found is None or found.pid == self._last:
            return False
        self._last, self._writer = found.pid, int(found.application_name.rpartition("/")[2])
        return True


def test_records_outlive_more_kills_than_an_entry_has_deliveries(
    isolated: IsolatedService, superuser: Connection, start_proxied: StartProxied
) -> None:
    proxied = start_proxied(AUDIT_WRITE_TIMEOUT="60s", DATABASE_WRITE_LOCK_TIMEOUT="50s")
    proxied.proxy.mode = Mode.REFUSE
    answers = [proxied.api.post(EVENTS, an_event()) for _ in range(10)]
    notification = a_notification()
    answers.append(proxied.api.post(NOTIFICATIONS, notification))
    watch = Watch(superuser)

    with isolated.locked_events():
        proxied.proxy.mode = Mode.PASS
        killed = []
        for _ in range(KILLS):
            killed.append(watch.next_writer())
            os.kill(killed[-1], signal.SIGKILL)
        waiting = proxied.desk.depths()
    proxied.desk.wait_until_empty()

    assert {answer.status for answer in answers} == {202}
    assert len(set(killed)) == KILLS
    assert waiting[0] == 10
    assert [proxied.desk.rows(event_id=answer.json["event_id"]) for answer in answers[:-1]] == [1] * 10
    assert proxied.desk.notifications(notification["notification_id"]) == 1
    assert proxied.desk.dead() == []
