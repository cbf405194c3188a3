"""A service with a database, and so a ledger, of its own."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.builders import EVENTS
from tests.support.http import Answer, Api
from tests.support.servers import TestDatabase
from tests.support.service import ServiceProcess
from tests.support.waiting import eventually

LEDGER = "/api/v1/audit/ledger"


class LedgerStand:
    """The service, which can be started again with other settings.

    Args:
        database: its own, migrated.
        redis_url: of the queue.
        folder: for what its processes leave.
        settings: as variables without ``DATASTORAGE_``.
    """

    def __init__(
        self, database: TestDatabase, redis_url: str, folder: Path, settings: Mapping[str, str]
    ) -> None:
        self.database = database
        self._redis_url = redis_url
        self._folder = folder
        self._settings = settings
        self._starts = 0
        self.service: ServiceProcess

    def __enter__(self) -> Self:
        self.start(**self._settings)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.service.stop()

    def start(self, **settings: str) -> None:
        """Start the service with these settings; one that runs has to be stopped before."""
        url = self.database.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._starts += 1
        folder = self._folder / str(self._starts)
        self.service = ServiceProcess(folder, url, self._redis_url, **settings).start()

    @property
    def api(self) -> Api:
        """A client of the service that runs."""
        return self.service.api

    def proof(self, event_id: str, **headers: str) -> Answer:
        """Ask for the proof of an event."""
        return self.api.request("GET", f"{EVENTS}/{event_id}/proof", headers=headers)

    def proved(self, event_id: str) -> bytes:
        """Return the proof of an event as soon as it is sealed and signed."""
        answers: list[Answer] = []

        def is_there() -> bool:
            answers.append(self.proof(event_id))
            return answers[-1].status == 200

        eventually(is_there)
        return answers[-1].body

    def known_keys(self) -> list[dict[str, Any]]:
        """Return the keys that the ledger knows."""
        keys: list[dict[str, Any]] = self.api.get(f"{LEDGER}/keys").json["keys"]
        return keys
