"""Ask a service that knows the filter ``min_duration_ms`` in every way; prints what was found as JSON."""

import json
import sys
from typing import Any

from datastorage.app import create_app
from datastorage.platform.clock import utc_now
from datastorage.settings import Settings
from datastorage.wiring import build_services

EVENTS = "/api/v1/audit/events"


def main(app_url: str, redis_url: str, correlation_id: str) -> dict[str, Any]:
    """Write events of 0 to 9 ms, and ask for those of at least 6 in every way."""
    settings = Settings.from_environ(
        {"DATASTORAGE_DATABASE_URL": app_url, "DATASTORAGE_REDIS_URL": redis_url}
    )
    services = build_services(settings)
    client = create_app(settings, services).test_client()
    event = {
        "version": "1.0",
        "event_type": "gateway.signal.received",
        "event_timestamp": utc_now().isoformat(),
        "event_category": "gateway",
        "event_action": "received",
        "event_outcome": "success",
        "correlation_id": correlation_id,
        "event_data": {},
    }
    client.post(f"{EVENTS}/batch", json=[event | {"duration_ms": each} for each in range(10)])

    def ask(**parameters: Any) -> Any:
        wanted = {"correlation_id": correlation_id, "min_duration_ms": 6, **parameters}
        return client.get(EVENTS, query_string=wanted)

    def rows(**parameters: Any) -> list[int]:
        return sorted(each["duration_ms"] for each in ask(**parameters).json["data"])

    exported = ask(format="ndjson").get_data(as_text=True).splitlines()
    found = {
        "page": rows(),
        "other value": rows(min_duration_ms=9),
        "uncounted": rows(include_total="false"),
        "at an offset": len(rows(offset=3)),
        "beside another filter": rows(event_type="gateway.signal.received"),
        "inside the payload": rows(event_data_contains="{}"),
        "export": sorted(json.loads(line)["duration_ms"] for line in exported),
        "totals": [ask(**each).json["pagination"]["total"] for each in ({}, {"limit": 2}, {"offset": 1})],
        "refused": ask(min_duration_ms=-1).status_code,
    }
    services.close()
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(**json.loads(sys.argv[1]))) + "\n")
