"""Follow the member ``region`` of an event through a service that knows it; prints what was seen as JSON."""

import json
import sys
from typing import Any
from uuid import uuid4

from sqlalchemy import create_engine, text

from datastorage.app import create_app
from datastorage.audit.service import AuditService
from datastorage.dlq.entry import Stream, decode
from datastorage.dlq.stream import RedisQueue
from datastorage.embedded.stack import migrate
from datastorage.openapi import default_document
from datastorage.platform.clock import utc_now
from datastorage.settings import Settings
from datastorage.wiring import build_services

EVENTS = "/api/v1/audit/events"


def an_event(**members: str) -> dict[str, Any]:
    """Return a request."""
    return {
        "version": "1.0",
        "event_id": str(uuid4()),
        "event_type": "gateway.signal.received",
        "event_timestamp": utc_now().isoformat(),
        "event_category": "gateway",
        "event_action": "received",
        "event_outcome": "success",
        "correlation_id": "rr-region",
        "event_data": {},
    } | members


def main(owner_url: str, app_url: str, redis_url: str) -> dict[str, Any]:
    """Write, read, queue and replay events with the member."""
    migrate(owner_url)
    settings = Settings.from_environ(
        {"DATASTORAGE_DATABASE_URL": app_url, "DATASTORAGE_REDIS_URL": redis_url}
    )
    services = build_services(settings)
    client = create_app(settings, services).test_client()
    owner = create_engine(
        owner_url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )

    stored, other, queued = an_event(region="eu-1"), an_event(region="eu-2"), an_event(region="eu-1")
    statuses = [client.post(EVENTS, json=each).status_code for each in (stored, other, stored)]
    statuses.append(client.post(EVENTS, json=stored | {"region": "eu-9"}).status_code)
    statuses.append(client.post(EVENTS, json=an_event(region="x" * 61)).status_code)
    with owner.connect() as connection:
        connection.execute(text("REVOKE INSERT ON audit_events FROM datastorage_app"))
        statuses.append(client.post(EVENTS, json=queued).status_code)
        connection.execute(text("GRANT INSERT ON audit_events TO datastorage_app"))
    entries = [decode(message) for message in services[RedisQueue].oldest(Stream.EVENTS)]
    [entry] = [each for each in entries if each.record_id == queued["event_id"]]
    replayed = services[AuditService].replay(entry.payload)

    def get(path: str, **parameters: str) -> Any:
        return client.get(path, query_string=parameters).json

    page = get(EVENTS, region="eu-1", order="asc")
    found = {
        "statuses": statuses,
        "read": get(f"{EVENTS}/{stored['event_id']}")["region"],
        "replayed": (replayed.name, get(f"{EVENTS}/{queued['event_id']}")["region"]),
        "page": [each["event_id"] for each in page["data"]] == [stored["event_id"], queued["event_id"]],
        "total": page["pagination"]["total"],
    }
    services.close()
    owner.dispose()
    return found | documented()


def documented() -> dict[str, Any]:
    """Return what the API document says of the member."""
    document = default_document()
    schemas, query = document["components"]["schemas"], document["paths"][EVENTS]["get"]["parameters"]
    return {
        "request": schemas["AuditEvent"]["properties"]["region"],
        "answer": schemas["StoredEvent"]["properties"]["region"],
        "is_parameter": "region" in [each["name"] for each in query if "name" in each],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(**json.loads(sys.argv[1]))) + "\n")
