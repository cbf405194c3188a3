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

Answer = Mapping[str, Any]


class SendingFailed(Exception):
    """The service cannot be reached, or it refuses; the message says which, and why."""


Receipt = Counter[str]
"""How many records were "sent", how many of them were "known" from before, and how many of them the service
has "queued" because its database is away."""


class Sender:
    """A client of the service at ``url``; methods raise ``SendingFailed`` when a record was not stored.

    A 503 is tried again after the pause the service asks for. A request whose answer was lost may be
    sent twice without harm: events and incidents carry their ids, and a workflow or a delivery record
    that is known is a 409.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        retries = Retry(
            total=4,
            connect=0,
            redirect=0,
            status_forcelist={HTTPStatus.SERVICE_UNAVAILABLE},
            allowed_methods=None,
            backoff_factor=0.5,
            retry_after_max=30,
            raise_on_status=False,
        )
        self._http = urllib3.PoolManager(retries=retries, timeout=Timeout(connect=5, read=60))

    def register(self, workflow: Workflow) -> tuple[Receipt, str]:
        """Register one version; returns the receipt, and the id of the version."""
        receipt, answer = self._send_one(WORKFLOWS, workflow.body)
        if receipt["known"]:
            path = f"{WORKFLOWS}/by-name/{quote(workflow.name, safe='')}/versions"
            listed: list[dict[str, Any]] = self._ask("GET", path)[1].get("versions", [])
            answer = next((each for each in listed if each["version"] == workflow.version), {})
        workflow_id = answer.get("workflow_id")
        if not isinstance(workflow_id, str):
            raise SendingFailed("the answer names no workflow_id: is this datastorage?")
        return receipt, workflow_id

    def send_batches(self, path: str, records: Sequence[object]) -> Iterator[Receipt]:
        """Send records in batches, each stored as a whole or not at all; yields the receipt of each."""
        for start in range(0, len(records), BATCH_SIZE):
            batch = records[start : start + BATCH_SIZE]
            status, answer = self._ask("POST", path, batch)
            yield _receipt(status, len(batch), known=answer.get("duplicates", 0))

    def send_each(self, path: str, records: Iterable[object]) -> Iterator[Receipt]:
        """Send records one by one; yields the receipt of each."""
        for record in records:
            yield self._send_one(path, record)[0]

    def _send_one(self, path: str, record: object) -> tuple[Receipt, Answer]:
        """Send a record that is known to the service when it answers 409."""
        status, answer = self._ask("POST", path, record, HTTPStatus.CONFLICT)
        return _receipt(status, 1, known=int(status == HTTPStatus.CONFLICT)), answer

    def _ask(self, method: str, path: str, body: object = None, *expected: int) -> tuple[int, Answer]:
        """Return the status and the content of an answer that is a success or ``expected``."""
        try:
            answer = self._http.request(method, f"{self._url}{path}", json=body)
        except urllib3.exceptions.HTTPError as error:
            raise SendingFailed(f"cannot reach a service at {self._url}: {_reason(error)}") from error
        content = _content(answer)
        if answer.status in {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED, *expected}:
            return answer.status, content
        if "detail" not in content:
            raise SendingFailed(f"the answer is {answer.status} without an explanation: is this datastorage?")
        raise SendingFailed(f"the service refuses ({answer.status}): {content['detail']}")

    def close(self) -> None:
        """Close kept connections."""
        self._http.clear()


def _receipt(status: int, count: int, *, known: int) -> Receipt:
    return Receipt(sent=count, known=known, queued=count if status == HTTPStatus.ACCEPTED else 0)


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    """Return what the operating system said, else what the client library says."""
    cause = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
    system = cause.__cause__ if cause is not None else None
    return system.strerror if isinstance(system, OSError) and system.strerror else str(cause)


def _content(answer: urllib3.BaseHTTPResponse) -> Answer:
    """Return the object in an answer, an empty one when there is none."""
    try:
        content = json.loads(answer.data)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
