"""Sends a story to a running service, and says clearly what is in the way."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import urllib3
from urllib3.util import Retry, Timeout

from datastorage.demo.narrator import Event, Notification

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
    sent twice without harm: events carry their ids, and a delivery record that is known is a 409.

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

    def send_events(self, events: Sequence[Event]) -> Iterator[Receipt]:
        """Send the events in batches; yields what became of each batch.

        Raises:
            SendingFailed: nothing of the current batch was stored; those before it were.
        """
        for start in range(0, len(events), BATCH_SIZE):
            batch = events[start : start + BATCH_SIZE]
            answer = self._post(BATCH_PATH, batch)
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
            answer = self._post(NOTIFICATION_PATH, notification)
            if answer.status not in outcomes:
                raise _refusal(answer)
            yield outcomes[HTTPStatus(answer.status)]

    def _post(self, path: str, body: object) -> urllib3.BaseHTTPResponse:
        try:
            return self._http.request("POST", f"{self._url}{path}", json=body)
        except urllib3.exceptions.HTTPError as error:
            raise SendingFailed(f"cannot reach a service at {self._url}: {_reason(error)}") from error

    def close(self) -> None:
        """Close kept connections."""
        self._http.clear()


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
