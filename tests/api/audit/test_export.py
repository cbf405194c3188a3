"""``GET /api/v1/audit/events`` as lines."""

import http.client
import json
from typing import Any

import psycopg
import pytest

from tests.support.builders import EVENTS, an_event, now, rfc3339, unique
from tests.support.exposition import Scrape
from tests.support.http import Answer, Api, assert_problem
from tests.support.isolated import IsolatedService
from tests.support.raw_http import SlowReader
from tests.support.waiting import eventually
from tests.support.writes import batch_created

NDJSON = "application/x-ndjson"


def store(api: Api, correlation_id: str, count: int, **fields: Any) -> list[str]:
    """Store events, the newest first, and return their ids."""
    events = [
        an_event(correlation_id=correlation_id, event_timestamp=rfc3339(now(seconds=-n)), **fields)
        for n in range(count)
    ]
    ids: list[str] = batch_created(api, events).json["event_ids"]
    return ids


def ids(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == NDJSON
    return [json.loads(line)["event_id"] for line in answer.body.splitlines()]


def test_export_has_one_event_per_line(api: Api) -> None:
    ours = unique()
    stored = store(api, ours, 60, event_data={"text": "two\nlines", "文": "本"})

    answer = api.get(EVENTS, {"correlation_id": ours}, Accept=NDJSON)

    assert ids(answer) == stored
    assert answer.body.endswith(b"\n")
    assert answer.body.count(b"\n") == 60
    assert "X-Next-Cursor" not in answer.headers


def test_line_is_the_event_as_a_page_shows_it(api: Api) -> None:
    ours = unique()
    store(api, ours, 1, actor_ip="10.0.0.1")

    exported = api.get(EVENTS, {"correlation_id": ours, "format": "ndjson"})
    listed = api.get(EVENTS, {"correlation_id": ours})

    assert json.loads(exported.body) == listed.json["data"][0]


@pytest.mark.parametrize(
    ("parameters", "accept", "media_type"),
    [
        ({"format": "ndjson"}, "application/json", NDJSON),
        ({"format": "json"}, NDJSON, "application/json"),
        ({}, f"{NDJSON}, application/json;q=0.5", NDJSON),
        ({}, f"{NDJSON};q=0.5, application/json", "application/json"),
        ({}, "*/*", "application/json"),
        ({}, "text/html", "application/json"),
        ({"format": ""}, NDJSON, NDJSON),
    ],
)
def test_parameter_decides_and_the_header_does_without_it(
    api: Api, parameters: dict[str, str], accept: str, media_type: str
) -> None:
    answer = api.get(EVENTS, {"limit": "1"} | parameters, Accept=accept)

    assert answer.status == 200
    assert answer.headers["Content-Type"] == media_type


def test_export_without_a_match_is_empty(api: Api) -> None:
    answer = api.get(EVENTS, {"correlation_id": unique(), "format": "ndjson"})

    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Type"] == NDJSON


def test_filters_and_order_apply(api: Api) -> None:
    ours = unique()
    failures = store(api, ours, 3, event_outcome="failure", event_data={"n": 1})
    store(api, ours, 3, event_outcome="success")
    store(api, unique(), 3, event_outcome="failure")

    answer = api.get(
        EVENTS,
        {
            "correlation_id": ours,
            "event_outcome": "failure",
            "event_data.n": "1",
            "order": "asc",
            "format": "ndjson",
        },
    )

    assert ids(answer) == failures[::-1]


def test_export_goes_on_by_the_cursor_of_its_header(api: Api) -> None:
    ours = unique()
    stored = store(api, ours, 25)
    export = {"correlation_id": ours, "format": "ndjson", "limit": "10"}

    first = api.get(EVENTS, export)
    second = api.get(EVENTS, export | {"cursor": first.headers["X-Next-Cursor"]})
    third = api.get(EVENTS, export | {"cursor": second.headers["X-Next-Cursor"]})

    assert ids(first) + ids(second) + ids(third) == stored
    assert "X-Next-Cursor" not in third.headers


def test_last_line_tells_whether_the_export_is_complete(api: Api) -> None:
    ours = unique()
    stored = store(api, ours, 25)
    export = {"correlation_id": ours, "format": "ndjson", "end": "true"}

    *cut, end = api.get(EVENTS, export | {"limit": "10"}).body.splitlines()
    members = json.loads(end)["_end"]
    cursor = members.pop("next_cursor")
    *rest, last = api.get(EVENTS, export | {"cursor": cursor}).body.splitlines()

    assert members == {"rows": 10, "complete": False, "reason": "max_rows"}
    assert [json.loads(line)["event_id"] for line in [*cut, *rest]] == stored
    assert json.loads(last) == {"_end": {"rows": 15, "complete": True, "next_cursor": None}}


def test_last_line_comes_only_when_asked_for(api: Api) -> None:
    ours = unique()
    stored = store(api, ours, 3)

    asked = {"correlation_id": ours, "format": "ndjson"}

    assert ids(api.get(EVENTS, asked | {"end": "false"})) == stored
    assert api.get(EVENTS, {"correlation_id": ours, "end": "true"}).json["pagination"]["total"] == 3
    problem = assert_problem(api.get(EVENTS, asked | {"end": "yes"}), 400, "validation-error")
    assert list(problem["field_errors"]) == ["end"]


def test_export_without_a_match_has_its_last_line(api: Api) -> None:
    answer = api.get(EVENTS, {"correlation_id": unique(), "format": "ndjson", "end": "true"})

    assert answer.json == {"_end": {"rows": 0, "complete": True, "next_cursor": None}}


def test_export_of_exactly_all_rows_names_no_next_cursor(api: Api) -> None:
    ours = unique()
    store(api, ours, 10)

    answer = api.get(EVENTS, {"correlation_id": ours, "format": "ndjson", "limit": "10"})

    assert len(ids(answer)) == 10
    assert "X-Next-Cursor" not in answer.headers


def test_cursor_of_a_page_continues_in_an_export(api: Api) -> None:
    ours = unique()
    stored = store(api, ours, 10)
    page = api.get(EVENTS, {"correlation_id": ours, "limit": "4"})
    cursor = page.json["pagination"]["next_cursor"]

    answer = api.get(EVENTS, {"correlation_id": ours, "cursor": cursor, "format": "ndjson"})

    assert ids(answer) == stored[4:]


@pytest.mark.parametrize(
    ("parameters", "field", "fragment"),
    [
        ({"offset": "0"}, "offset", "cannot be combined with an export"),
        ({"limit": "0"}, "limit", "must be at least 1"),
        ({"limit": "100001"}, "limit", "must be at most 100000"),
        ({"limit": ""}, "limit", "must be an integer"),
        ({"cursor": "!!"}, "cursor", "must be a cursor"),
        ({"since": "soon"}, "since", "invalid time format"),
    ],
)
def test_bad_parameter_is_a_problem_and_no_stream(
    api: Api, parameters: dict[str, str], field: str, fragment: str
) -> None:
    answer = api.get(EVENTS, parameters, Accept=NDJSON)

    problem = assert_problem(answer, 400, "validation-error")
    assert list(problem["field_errors"]) == [field]
    assert fragment in problem["field_errors"][field]


def test_largest_limit_is_allowed(api: Api) -> None:
    ours = unique()
    stored = store(api, ours, 3)

    answer = api.get(EVENTS, {"correlation_id": ours, "format": "ndjson", "limit": "100000"})

    assert ids(answer) == stored


def test_export_is_counted_under_its_route(isolated: IsolatedService) -> None:
    labels = {"method": "GET", "path": EVENTS, "status": "200"}
    before = Scrape(isolated.api)

    isolated.api.get(EVENTS, {"format": "ndjson"})

    def is_counted() -> bool:
        counted = Scrape(isolated.api).value("http_request_total", **labels)
        return counted == before.value("http_request_total", **labels) + 1

    eventually(is_counted)
    unmatched = Scrape(isolated.api).value("http_request_total", **(labels | {"path": "unmatched"}))
    assert unmatched == before.value("http_request_total", **(labels | {"path": "unmatched"}))


# Long enough that the buffers between service and client hold a part of it only, and more rows than
# the service fetches at once.
LONG_EXPORT_ROWS = 1200
LONG_TEXT = "x" * 14_000


@pytest.fixture
def long_export(isolated: IsolatedService) -> str:
    """The target of an export that a client cannot have received before it asks for it."""
    ours = unique()
    for _ in range(2):
        store(isolated.api, ours, LONG_EXPORT_ROWS // 2, event_data={"text": LONG_TEXT})
    return f"{EVENTS}?correlation_id={ours}&format=ndjson"


def busy_backends(isolated: IsolatedService) -> int:
    """Count the backends of the service that keep vacuum waiting."""
    statement = """
        SELECT count(*) FROM pg_stat_activity WHERE starts_with(application_name, 'datastorage/')
        AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL)
    """
    with psycopg.connect(isolated.postgres.url("postgres"), autocommit=True) as superuser:
        [count] = superuser.execute(statement).fetchone() or [None]
    assert isinstance(count, int)
    return count


def test_slow_reader_gets_every_line_and_holds_no_transaction(
    isolated: IsolatedService, long_export: str
) -> None:
    reader = SlowReader(isolated.api, long_export)

    lines = [reader.read_line()]
    eventually(lambda: busy_backends(isolated) == 0)
    eventually(lambda: Scrape(isolated.api).value("db_connections_in_use") == 0)
    lines += reader.read_rest().splitlines(keepends=True)
    reader.close()

    assert len(lines) == LONG_EXPORT_ROWS
    assert all(len(json.loads(line)["event_data"]["text"]) == len(LONG_TEXT) for line in lines)


def test_export_cut_by_the_database_ends_without_the_final_chunk(
    isolated: IsolatedService, long_export: str
) -> None:
    reader = SlowReader(isolated.api, long_export)
    reader.read_line()
    eventually(lambda: busy_backends(isolated) == 0)

    isolated.postgres.stop()
    with pytest.raises(http.client.IncompleteRead) as cut:
        reader.read_rest()
    reader.close()
    isolated.restore()

    assert cut.value.partial.count(b"\n") < LONG_EXPORT_ROWS - 1
    assert b"problem" not in cut.value.partial[-2000:]
    assert isolated.api.get(EVENTS).status == 200
    eventually(lambda: Scrape(isolated.api).value("db_connections_in_use") == 0)
    eventually(lambda: Scrape(isolated.api).value("http_requests_in_flight") == 0)


def test_last_line_tells_that_the_database_has_failed(isolated: IsolatedService, long_export: str) -> None:
    reader = SlowReader(isolated.api, f"{long_export}&end=true")
    first = reader.read_line()
    eventually(lambda: busy_backends(isolated) == 0)

    isolated.postgres.stop()
    *lines, last = reader.read_rest().splitlines()
    reader.close()
    isolated.restore()

    error = json.loads(last)["_error"]
    assert (error["status"], error["rows"]) == (503, len(lines) + 1)
    go_on = f"{long_export}&cursor={error['next_cursor']}"
    behind = isolated.api.request("GET", go_on).body.splitlines()
    assert len({*map(bytes.rstrip, [first, *lines, *behind])}) == LONG_EXPORT_ROWS


def test_client_that_hangs_up_makes_room_for_another_export(
    isolated: IsolatedService, long_export: str
) -> None:
    reader = SlowReader(isolated.api, long_export)
    reader.read_line()
    eventually(lambda: Scrape(isolated.api).value("exports_active", kind="audit") == 1)

    reader.close()

    eventually(lambda: Scrape(isolated.api).value("exports_active", kind="audit") == 0)


def test_head_of_an_export_leaves_nothing_open(isolated: IsolatedService, long_export: str) -> None:
    answer = isolated.api.request("HEAD", f"{long_export}&limit=10")

    assert answer.status == 200
    assert answer.headers["X-Next-Cursor"]
    eventually(lambda: Scrape(isolated.api).value("exports_active", kind="audit") == 0)
    eventually(lambda: Scrape(isolated.api).value("db_connections_in_use") == 0)


def test_export_while_postgresql_is_stopped_is_unavailable(isolated: IsolatedService) -> None:
    isolated.postgres.stop()

    answer = isolated.api.get(EVENTS, {"format": "ndjson"})

    assert_problem(answer, 503, "service-unavailable")
    assert answer.headers["Retry-After"] == "2"
