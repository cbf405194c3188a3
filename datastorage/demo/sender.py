"""Sends a story to a running service, and says clearly what is in the way."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import urllib3
from urllib3.util import Retry, Timeout

from datastorage.demo.action import Incident
from datastorage.demo.narrator import Event, Notification
from datastorage.demo.workflows import Workflow

WORKFLOW_PATH = "/api/v1/workflows"
INCIDENT_BATCH_PATH = "/api/v1/incidents/batch"
BATCH_PATH = "/api/v1/audit/events/batch"
NOTIFICATION_PATH = "/api/v1/audit/notifications"
BATCH_SIZE = 500

ATTEMPTS_AFTER_503 = 4
LONGEST_PAUSE_SECONDS = 30
TIMEOUT = Timeout(connect=5, read=60)


class SendingFailed(Exception):
    """The service cannot be reached, or it refuses; the message says which, and why."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of some records.

    Attributes:
        sent: how many there were.
        known: how many of them had been stored before.
        queued: how many the service put aside because its database is away.
    """

    sent: int
    known: int = 0
    queued: int = 0

    def __add__(self, other: "Receipt") -> "Receipt":
        return Receipt(self.sent + other.sent, self.known + other.known, self.queued + other.queued)


class Sender:
    """A client of one service.

    A 503 is tried again after the pause the service asks for. A request whose answer was lost may be
    sent twice without harm: events and incidents carry their ids, and a workflow or a delivery record
    that is known is a 409.

    Args:
        url: where the service is, without a path.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        retries = Retry(
            total=ATTEMPTS_AFTER_503,
            connect=0,
            redirect=0,
            status_forcelist={HTTPStatus.SERVICE_UNAVAILABLE},
            allowed_methods=None,
            backoff_factor=0.5,
            retry_after_max=LONGEST_PAUSE_SECONDS,
            raise_on_status=False,
        )
        self._http = urllib3.PoolManager(retries=retries, timeout=TIMEOUT)

    def register(self, workflow: Workflow) -> tuple[Receipt, str]:
        """Register one version; returns what became of it, and the id it has.

        Raises:
            SendingFailed: it was not stored.
        """
        answer = self._request("POST", WORKFLOW_PATH, workflow.body)
        if answer.status == HTTPStatus.CREATED:
            return Receipt(1), _id_in(_json(answer))
        if answer.status == HTTPStatus.CONFLICT:
            return Receipt(1, known=1), self._known_id(workflow)
        raise _refusal(answer)

    def _known_id(self, workflow: Workflow) -> str:
        answer = self._request("GET", f"{WORKFLOW_PATH}/by-name/{quote(workflow.name, safe='')}/versions")
        if answer.status != HTTPStatus.OK:
            raise _refusal(answer)
        versions = _json(answer).get("versions", [])
        return _id_in(next((each for each in versions if each["version"] == workflow.version), {}))

    def send_events(self, events: Sequence[Event]) -> Iterator[Receipt]:
        """Send the events in batches; yields what became of each batch.

        Raises:
            SendingFailed: nothing of the current batch was stored; those before it were.
        """
        for start in range(0, len(events), BATCH_SIZE):
            batch = events[start : start + BATCH_SIZE]
            answer = self._request("POST", BATCH_PATH, batch)
            if answer.status == HTTPStatus.ACCEPTED:
                yield Receipt(len(batch), queued=len(batch))
            elif answer.status == HTTPStatus.CREATED:
                yield Receipt(len(batch), known=_json(answer).get("duplicates", 0))
            else:
                raise _refusal(answer)

    def send_notifications(self, notifications: Iterable[Notification]) -> Iterator[Receipt]:
        """Send delivery records one by one; yields what became of each.

        Raises:
            SendingFailed: the current one was not stored; those before it were.
        """
        outcomes = {
            HTTPStatus.CREATED: Receipt(1),
            HTTPStatus.CONFLICT: Receipt(1, known=1),
            HTTPStatus.ACCEPTED: Receipt(1, queued=1),
        }
        for notification in notifications:
            answer = self._request("POST", NOTIFICATION_PATH, notification)
            if answer.status not in outcomes:
                raise _refusal(answer)
            yield outcomes[HTTPStatus(answer.status)]

    def send_incidents(self, incidents: Sequence[Incident]) -> Iterator[Receipt]:
        """Send the incidents in batches; yields what became of each batch.

        Raises:
            SendingFailed: nothing of the current batch was stored; those before it were.
        """
        for start in range(0, len(incidents), BATCH_SIZE):
            batch = incidents[start : start + BATCH_SIZE]
            answer = self._request("POST", INCIDENT_BATCH_PATH, batch)
            if answer.status not in (HTTPStatus.CREATED, HTTPStatus.OK):
                raise _refusal(answer)
            yield Receipt(len(batch), known=_json(answer).get("duplicates", 0))

    def _request(self, method: str, path: str, body: object = None) -> urllib3.BaseHTTPResponse:
        try:
            return self._http.request(method, f"{self._url}{path}", json=body)
        except urllib3.exceptions.HTTPError as error:
            raise SendingFailed(f"cannot reach a service at {self._url}: {_reason(error)}") from error

    def close(self) -> None:
        """Close kept connections."""
        self._http.clear()


def _id_in(workflow: Mapping[str, Any]) -> str:
    workflow_id = workflow.get("workflow_id")
    if not isinstance(workflow_id, str):
        raise SendingFailed("the answer names no workflow_id: is this datastorage?")
    return workflow_id


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    """Return what the operating system said, else what the client library says."""
    cause = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
    system = cause.__cause__ if cause is not None else None
    return system.strerror if isinstance(system, OSError) and system.strerror else str(cause)


def _refusal(answer: urllib3.BaseHTTPResponse) -> SendingFailed:
    detail = _json(answer).get("detail")
    if detail is None:
        return SendingFailed(f"the answer is {answer.status} without an explanation: is this datastorage?")
    return SendingFailed(f"the service refuses ({answer.status}): {detail}")


def _json(answer: urllib3.BaseHTTPResponse) -> Mapping[str, Any]:
    try:
        content = json.loads(answer.data)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
