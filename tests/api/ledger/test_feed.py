"""``GET /api/v1/audit/feed`` as pages and lines: every leaf in its order, whatever became of its row."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, delete, func, insert, select, text, update

from datastorage.tables import audit_events, audit_unsealed, ledger_feed
from tests.api.ledger.conftest import StartLedger
from tests.support.builders import EVENTS, an_event, unique
from tests.support.event_rows import an_event_row
from tests.support.exposition import Scrape
from tests.support.feed import FEED, LINES, STREAM, FeedStream, lines_of, pages
from tests.support.golden_log import owner_of
from tests.support.http import Api, assert_problem
from tests.support.ledger_stand import LedgerStand
from tests.support.ledger_vectors import SIZE, texts
from tests.support.raw_http import SlowReader
from tests.support.waiting import eventually
from tests.support.writes import batch_created, created, read_again


@pytest.fixture(scope="module")
def api(golden: LedgerStand) -> Api:
    eventually(lambda: golden.api.get(FEED, {"from": "now"}).json["tree_size"] >= SIZE)
    return golden.api


def bare(line: bytes) -> bytes:
    """Return the text that an item has, byte for byte."""
    return line.split(b":", 2)[2].removesuffix(b"}")


def test_pages_show_every_leaf_with_its_text(api: Api) -> None:
    items = [item for page in pages(api, limit=7) for item in page["data"]]

    assert [item["leaf_index"] for item in items] == list(range(len(items)))
    assert [item.get("event") or item["statement"] for item in items[:SIZE]] == list(map(json.loads, texts()))


@pytest.mark.parametrize("form", ["lines", "stream"])
def test_texts_are_the_bytes_that_were_sealed(api: Api, form: str) -> None:
    if form == "lines":
        answer = api.request("GET", FEED, params={"from": 0, "limit": SIZE}, headers={"Accept": LINES})
        assert answer.headers["Content-Type"] == LINES
        found = [bare(line) for line in answer.body.split(b"\n")[:-2]]
    else:
        stream = FeedStream(api, from_=0)
        found = [str(block.data).encode() for block in stream.take(SIZE)]
        stream.close()

    assert found == list(texts())


def test_first_page(api: Api) -> None:
    answer = api.get(FEED, {"from": 0, "limit": 10})

    page = answer.json
    assert answer.headers["Cache-Control"] == "no-store"
    assert [item["leaf_index"] for item in page["data"]] == list(range(10))
    assert (page["next"], page["tree_size"] >= SIZE) == (10, True)


def test_end_of_the_ledger_is_an_empty_page(api: Api) -> None:
    now = api.get(FEED, {"from": "now"}).json
    size = now["tree_size"]

    assert now == {"data": [], "next": size, "tree_size": size}
    assert api.get(FEED, {"from": size}).json == now
    problem = assert_problem(api.get(FEED, {"from": size + 1}), 409, "ledger/beyond-end")
    assert problem["tree_size"] == size


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from", "-1"), ("from", "x"), ("from", ""), ("from", str(2**63)), ("wait", "31"), ("wait", "-1"),
        ("limit", "0"), ("limit", "1001"), ("received_since", "x"), ("event_data_contains", "["),
    ],
)  # fmt: skip
def test_bad_parameter_is_named(api: Api, name: str, value: str) -> None:
    problem = assert_problem(api.get(FEED, {name: value}), 400, "validation-error")

    assert list(problem["field_errors"]) == [name]


@pytest.mark.parametrize("name", ["order", "offset", "cursor", "include_total", "q", "format"])
def test_parameters_of_a_list_are_unknown_names(api: Api, name: str) -> None:
    assert api.get(FEED, {"from": 0, name: "?"}).status == 200


def test_lines_end_with_where_they_stopped(api: Api) -> None:
    *items, last = lines_of(api, from_=0, limit=100)

    assert [item["leaf_index"] for item in items] == list(range(100))
    assert last == {"_end": {"rows": 100, "complete": False, "next": 100, "reason": "limit"}}


def test_whole_ledger_as_lines(api: Api) -> None:
    *items, last = lines_of(api)

    size = len(items)
    assert size >= SIZE
    assert last == {"_end": {"rows": size, "complete": True, "next": size}}


def test_head_has_the_head_of_each_form(api: Api) -> None:
    for accept in ("application/json", STREAM, LINES):
        answer = api.request("HEAD", FEED, headers={"Accept": accept})

        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["Content-Type"] == accept


@pytest.fixture(scope="module")
def written(signed: LedgerStand) -> tuple[LedgerStand, list[dict[str, Any]]]:
    """Events of three remediations in turns, sealed."""
    ids = [unique() for _ in range(3)]
    events = [
        an_event(correlation_id=ids[n % 3], event_data={"turn": n, "odd": n % 2 == 1}) for n in range(30)
    ]
    batch_created(signed.api, events)
    signed.proved(created(signed.api, an_event()).json["event_id"])
    return signed, events


@pytest.mark.parametrize(
    ("name", "value"),
    [("correlation_id", None), ("event_data.odd", "true"), ("event_data_contains", '{"odd":true}')],
)
def test_filter_keeps_what_the_list_keeps(
    written: tuple[LedgerStand, list[dict[str, Any]]], name: str, value: str | None
) -> None:
    stand, events = written
    wanted: dict[str, Any] = {name: value or events[0]["correlation_id"]}

    items = [item for page in pages(stand.api, limit=4, **wanted) for item in page["data"]]

    listed = stand.api.get(EVENTS, {**wanted, "limit": 100}).json["data"]
    assert {item["event"]["event_id"] for item in items} == {event["event_id"] for event in listed}
    assert [item["leaf_index"] for item in items] == sorted(item["leaf_index"] for item in items)


def test_page_waits_for_something_to_tell(signed: LedgerStand) -> None:
    place = signed.api.get(FEED, {"from": "now"}).json["next"]
    with ThreadPoolExecutor(1) as client:
        asked = client.submit(signed.api.another().get, FEED, {"from": place, "wait": 30})
        eventually(lambda: Scrape(signed.service.metrics_api).value("feed_followers", kind="poll") == 1)
        event_id = created(signed.api, an_event()).json["event_id"]
        answer = asked.result(30)

    assert answer.status == 200
    assert answer.headers["Connection"] == "close"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json["data"][0]["event"]["event_id"] == event_id
    assert answer.json["next"] == answer.json["tree_size"] == place + 1


def test_page_waits_no_longer_than_it_may(signed: LedgerStand) -> None:
    place = signed.api.get(FEED, {"from": "now"}).json["next"]
    begun = monotonic()

    answer = signed.api.get(FEED, {"from": place, "wait": 1})

    assert answer.json == {"data": [], "next": place, "tree_size": place}
    assert monotonic() - begun >= 1


def test_page_with_a_filter_waits_for_what_matches(signed: LedgerStand) -> None:
    place, wanted = signed.api.get(FEED, {"from": "now"}).json["next"], unique()
    with ThreadPoolExecutor(1) as client:
        parameters = {"from": place, "wait": 30, "correlation_id": wanted}
        asked = client.submit(signed.api.another().get, FEED, parameters)
        other = created(signed.api, an_event()).json["event_id"]
        signed.proved(other)
        assert not asked.done()
        event_id = created(signed.api, an_event(correlation_id=wanted)).json["event_id"]
        page = asked.result(30).json

    assert [item["event"]["event_id"] for item in page["data"]] == [event_id]


@pytest.fixture
def gap(start_ledger: StartLedger) -> Iterator[tuple[LedgerStand, Connection, dict[str, Any]]]:
    """A service that has lost the row of an event: itself, its owner, and the event."""
    stand, wanted = start_ledger(), unique()
    kept, lost = (read_again(stand.api, an_event(correlation_id=wanted)) for _ in range(2))
    eventually(lambda: len(stand.api.get(FEED, {"correlation_id": wanted}).json["data"]) == 2)
    with owner_of(stand.database) as owner:
        owner.execute(text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
        owner.execute(delete(audit_events).where(audit_events.c.event_id == lost["event_id"]))
        yield stand, owner, {"kept": kept, "lost": lost}


Gap = tuple[LedgerStand, Connection, dict[str, Any]]


def item_of(stand: LedgerStand, event_id: str) -> dict[str, Any]:
    items = (item for page in pages(stand.api) for item in page["data"])
    return next(item for item in items if item.get("event_id") == event_id)


def test_row_that_is_gone_keeps_its_place(gap: Gap) -> None:
    stand, _, events = gap
    lost = events["lost"]["event_id"]

    item = item_of(stand, lost)
    stream = FeedStream(stand.api, from_=item["leaf_index"])
    block = stream.take(1)[0]
    stream.close()

    assert item == {"leaf_index": item["leaf_index"], "event": None, "event_id": lost}
    assert (block.id, block.event, block.data) == (item["leaf_index"], "missing", f'{{"event_id":"{lost}"}}')


def test_filter_shows_what_is_gone_unless_the_leaf_excludes_it(gap: Gap) -> None:
    stand, _, events = gap
    own = {"correlation_id": events["kept"]["correlation_id"]}
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    def found(**wanted: Any) -> list[str | None]:
        data = stand.api.get(FEED, {"from": 0, **wanted}).json["data"]
        return [item["event"] and item["event"]["event_id"] for item in data]

    assert found(**own) == [events["kept"]["event_id"], None]
    assert found(**own, event_outcome="failure") == [None]
    assert found(correlation_id=unique()) == []
    assert found(**own, since=tomorrow.isoformat()) == []


def test_archived_row_says_so(gap: Gap) -> None:
    stand, owner, events = gap
    lost = events["lost"]
    statement = {
        "statement_id": str(uuid4()), "type": "archive", "at": "2026-11-20T10:00:00Z", "by": "datastorage",
        "month": lost["event_date"][:7], "rows": 2, "last_leaf_index": 3, "file_sha256": "0" * 64,
    }  # fmt: skip
    waiting = {"event_id": statement["statement_id"], "statement": json.dumps(statement)}
    owner.execute(insert(audit_unsealed).values(waiting))

    eventually(lambda: item_of(stand, lost["event_id"]).get("archived") is True)


def test_what_is_archived_is_gone_from_the_feed(gap: Gap) -> None:
    stand, owner, events = gap
    kept = events["kept"]
    owner.execute(update(ledger_feed).values(first_index=2))

    problem = assert_problem(stand.api.get(FEED, {"from": 1}), 410, "ledger/feed-gone")
    first = stand.api.get(FEED, {"limit": 1}).json["data"]
    stream = FeedStream(stand.api, 0)

    assert problem["first_index"] == 2
    assert [item["leaf_index"] for item in first] == [2]
    assert stream.response.status == 410
    stream.close()
    owner.execute(update(ledger_feed).values(first_index=0))
    assert kept["event_id"] in str(stand.api.get(FEED, {"from": 0}).json)


def test_events_with_one_id_on_two_dates_are_two_items(gap: Gap) -> None:
    stand, owner, _ = gap
    first = an_event_row()
    day = timedelta(days=1)
    second = first | {
        "event_date": first["event_date"] - day, "event_timestamp": first["event_timestamp"] - day
    }  # fmt: skip
    for row in (first, second):
        owner.execute(select(func.ensure_month_partition("audit_events", row["event_date"].replace(day=1))))
        owner.execute(insert(audit_events), row)
        key = {"event_id": row["event_id"], "event_date": row["event_date"]}
        owner.execute(insert(audit_unsealed).values(key))

    def dates() -> list[str]:
        data = stand.api.get(FEED, {"correlation_id": first["correlation_id"]}).json["data"]
        return [item["event"]["event_date"] for item in data]

    eventually(lambda: len(dates()) == 2)
    assert dates() == [str(first["event_date"]), str(second["event_date"])]


def test_page_of_large_events_ends_in_time(start_ledger: StartLedger) -> None:
    stand = start_ledger(LIMITS_MAX_PAGE_BYTES=str(1 << 20))
    events = [an_event(event_data={"text": "x" * 200_000, "n": n}) for n in range(12)]
    batch_created(stand.api, events)
    eventually(lambda: stand.api.get(FEED, {"from": "now"}).json["tree_size"] >= 12)

    found = list(pages(stand.api))

    items = [item for page in found for item in page["data"]]
    assert [item["leaf_index"] for item in items] == list(range(len(items)))
    assert max(len(json.dumps(page["data"])) for page in found) < 1_100_000
    assert [item["event"]["event_data"]["n"] for item in items if item.get("event")] == list(range(12))


def test_exports_of_every_form_share_the_places(start_ledger: StartLedger) -> None:
    stand = start_ledger(SERVER_WORKERS="1")
    for _ in range(10):
        batch_created(stand.api, [an_event(event_data={"text": "x" * 200_000}) for _ in range(10)])
    export = f"{EVENTS}?format=ndjson"
    first, second = (SlowReader(stand.api, export) for _ in range(2))

    for path in (FEED, EVENTS):
        answer = stand.api.get(path, Accept=LINES)
        assert_problem(answer, 429, "too-many-exports")
        assert answer.headers["Retry-After"] == "5"

    first.close()
    eventually(lambda: stand.api.get(FEED, {"limit": 1}, Accept=LINES).status == 200)
    second.close()
