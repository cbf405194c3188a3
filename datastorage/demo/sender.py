"""Sends a story to a running service, and says clearly what is in the way."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import urllib3
from urllib3.util import Retry, Timeout

from datastorage.demo.content import Workflow

WORKFLOWS = "/api/v1/workflows"
INCIDENTS = "/api/v1/incidents/batch"
EVENTS = "/api/v1/audit/events/batch"
NOTIFICATIONS = "/api/v1/audit/notifications"
BATCH_SIZE = 500

ATTEMPTS_AFTER_503 = 4
LONGEST_PAUSE_SECONDS = 30
TIMEOUT = Timeout(connect=5, read=60)


class SendingFailed(Exception):
    """The service cannot be reached, or it refuses; the message says which, and why."""


Receipt = Counter[str]
"""How many records were "sent", how many of them were "known" from before, and how many of them the service
has "queued" because its database is away."""


class Sender:
    """A client of the service at ``url``.

    A 503 is tried again after the pause the service asks for. A request whose answer was lost may be
    sent twice without harm: events and incidents carry their ids, and a workflow or a delivery record
    that is known is a 409.
    """

    def __init__(self, url: str) -> None:
        self._url = url
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
        """Register one version; returns the receipt, and the id of the version.

        Raises:
            SendingFailed: it was not stored.
        """
        answer = self._request("POST", WORKFLOWS, workflow.body)
        if answer.status != HTTPStatus.CONFLICT:
            return _receipt(answer, 1), _id_in(_json(answer))
        versions = self._request("GET", f"{WORKFLOWS}/by-name/{quote(workflow.name, safe='')}/versions")
        if versions.status != HTTPStatus.OK:
            raise _refusal(versions)
        found: list[dict[str, Any]] = _json(versions).get("versions", [])
        known = next((each for each in found if each["version"] == workflow.version), {})
        return Receipt(sent=1, known=1), _id_in(known)

    def send_batches(self, path: str, records: Sequence[object]) -> Iterator[Receipt]:
        """Send records in batches; yields the receipt of each batch.

        Raises:
            SendingFailed: nothing of the current batch was stored; those before it were.
        """
        for start in range(0, len(records), BATCH_SIZE):
            batch = records[start : start + BATCH_SIZE]
            yield _receipt(self._request("POST", path, batch), len(batch))

    def send_each(self, path: str, records: Iterable[object]) -> Iterator[Receipt]:
        """Send records one by one; yields the receipt of each, a 409 being one that is known.

        Raises:
            SendingFailed: the current one was not stored; those before it were.
        """
        for record in records:
            answer = self._request("POST", path, record)
            is_known = answer.status == HTTPStatus.CONFLICT
            yield Receipt(sent=1, known=1) if is_known else _receipt(answer, 1)

    def _request(self, method: str, path: str, body: object = None) -> urllib3.BaseHTTPResponse:
        try:
            return self._http.request(method, f"{self._url}{path}", json=body)
        except urllib3.exceptions.HTTPError as error:
            raise SendingFailed(f"cannot reach a service at {self._url}: {_reason(error)}") from error

    def close(self) -> None:
        """Close kept connections."""
        self._http.clear()


def _receipt(answer: urllib3.BaseHTTPResponse, count: int) -> Receipt:
    if answer.status == HTTPStatus.ACCEPTED:
        return Receipt(sent=count, queued=count)
    if answer.status in (HTTPStatus.OK, HTTPStatus.CREATED):
        return Receipt(sent=count, known=_json(answer).get("duplicates", 0))
    raise _refusal(answer)


def _id_in(workflow: Mapping[str, Any]) -> str:
    match workflow.get("workflow_id"):
        case str(workflow_id):
            return workflow_id
        case _:
            raise SendingFailed("the answer names no workflow_id: is this datastorage?")


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
