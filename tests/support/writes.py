"""Writes that have to succeed before a test can go on."""

from typing import Any

from tests.support.builders import BATCH, EVENTS
from tests.support.http import Answer, Api


def created(api: Api, event: dict[str, Any]) -> Answer:
    """Create ``event`` and return the answer."""
    answer = api.post(EVENTS, event)
    assert answer.status == 201, answer.body
    return answer


def batch_created(api: Api, events: list[dict[str, Any]]) -> Answer:
    """Create all ``events`` at once and return the answer."""
    answer = api.post(BATCH, events)
    assert answer.status == 201, answer.body
    return answer


def read_again(api: Api, event: dict[str, Any]) -> dict[str, Any]:
    """Create ``event`` and return it as reads show it."""
    answer = api.get(f"{EVENTS}/{created(api, event).json['event_id']}")
    assert answer.status == 200, answer.body
    members: dict[str, Any] = answer.json
    return members
