"""Clients of the feed: a stream that is read event by event, and pages up to the end."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support.http import Api

FEED = "/api/v1/audit/feed"
STREAM = "text/event-stream"
LINES = "application/x-ndjson"


@dataclass(frozen=True)
class Block:
    """What stands between two empty lines of a stream."""

    id: int | None
    event: str
    data: str | None
    retry: int | None
    comment: str | None


class FeedStream:
    """A stream, open until it is closed.

    Args:
        api: of the service.
        last_event_id: sent, if there is one.
        parameters: ``from_`` stands for ``from``.
    """

    def __init__(self, api: Api, last_event_id: int | None = None, **parameters: Any) -> None:
        parts = urlsplit(api.url)
        host, port = str(parts.hostname), parts.port
        self.connection = (
            http.client.HTTPConnection(host, port, timeout=30)
            if api.tls is None
            else http.client.HTTPSConnection(host, port, timeout=30, context=api.tls)
        )
        query = urlencode({name.rstrip("_"): value for name, value in parameters.items()})
        seen = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
        self.connection.request("GET", f"{FEED}?{query}", headers={"Accept": STREAM, **api.shown, **seen})
        self.response = self.connection.getresponse()

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks as they come, until the service ends the stream."""
        lines: list[str] = []
        while raw := self.response.readline():
            line = raw.decode().removesuffix("\n")
            if line:
                lines.append(line)
            else:
                yield _block(lines)
                lines = []

    def items(self) -> Iterator[Block]:
        """Yield the blocks that tell of leaves."""
        return (block for block in self if block.data is not None)

    def take(self, count: int) -> list[Block]:
        """Return so many of them."""
        items = self.items()
        return [next(items) for _ in range(count)]

    def close(self) -> None:
        """Hang up."""
        self.response.close()
        self.connection.close()


def _block(lines: list[str]) -> Block:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        fields[name] = value
    return Block(
        int(fields["id"]) if "id" in fields else None,
        fields.get("event", "message"),
        fields.get("data"),
        int(fields["retry"]) if "retry" in fields else None,
        fields.get(""),
    )


def pages(api: Api, place: int = 0, **parameters: Any) -> Iterator[dict[str, Any]]:
    """Yield the pages from a leaf to the end that the ledger has then."""
    while True:
        answer = api.get(FEED, {"from": place, **parameters})
        assert answer.status == 200, answer.body
        page: dict[str, Any] = answer.json
        yield page
        if page["next"] >= page["tree_size"]:
            return
        place = page["next"]


def lines_of(api: Api, **parameters: Any) -> list[dict[str, Any]]:
    """Return the lines of an export of the feed."""
    answer = api.request(
        "GET", FEED, params={name.rstrip("_"): value for name, value in parameters.items()},
        headers={"Accept": LINES},
    )  # fmt: skip
    assert answer.status == 200, answer.body
    return [json.loads(line) for line in answer.body.splitlines()]
