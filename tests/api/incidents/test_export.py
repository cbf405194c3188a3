"""``GET /api/v1/incidents/export``: every row once, then a record that tells whether that was all."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from tests.support.http import Answer, Api, assert_problem
from tests.support.incident_builders import EXPORT, INCIDENTS
from tests.support.incident_stand import Stand, ids, incident_stand, insert_many
from tests.support.servers import Servers
from tests.support.slow_reader import SlowReader
from tests.support.waiting import eventually


def lines(answer: Answer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the incidents and the control record."""
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.body.endswith(b"\n")
    *rows, control = [json.loads(line) for line in answer.body.splitlines()]
    return rows, control


def test_small_result_is_complete(twelve: Api) -> None:
    rows, control = lines(twelve.get(EXPORT))

    assert rows == twelve.get(INCIDENTS).json["data"]
    assert control == {"_end": {"rows": 12, "complete": True, "next_cursor": None}}


def test_empty_result_is_only_the_record(twelve: Api) -> None:
    rows, control = lines(twelve.get(f"{EXPORT}?namespace=nothing"))

    assert rows == []
    assert control == {"_end": {"rows": 0, "complete": True, "next_cursor": None}}


def test_filters_and_view_are_those_of_the_list(twelve: Api) -> None:
    query = "namespace=production&since=30d&view=full&status=completed"

    rows, _ = lines(twelve.get(f"{EXPORT}?{query}"))

    assert rows == twelve.get(f"{INCIDENTS}?{query}").json["data"]
    assert [row["id"] for row in rows] == [1, 2, 10]


def test_large_result_is_exported_in_order(many: Api) -> None:
    rows, control = lines(many.get(EXPORT))

    assert len({row["id"] for row in rows}) == 10_500
    assert rows == sorted(rows, key=lambda row: (row["action_timestamp"], row["id"]), reverse=True)
    assert control == {"_end": {"rows": 10_500, "complete": True, "next_cursor": None}}


@pytest.mark.parametrize("max_rows", [1, 100, 999, 1000, 1001, 2000])
def test_cut_export_can_be_continued(many: Api, max_rows: int) -> None:
    first, control = lines(many.get(f"{EXPORT}?max_rows={max_rows}"))
    cursor = control["_end"]["next_cursor"]

    rest, end = lines(many.get(f"{EXPORT}?cursor={cursor}"))

    assert control["_end"] == {
        "rows": max_rows, "complete": False, "next_cursor": cursor, "reason": "max_rows",
    }  # fmt: skip
    assert len(first) == max_rows
    assert len(rest) == end["_end"]["rows"] == 10_500 - max_rows
    assert not {row["id"] for row in first} & {row["id"] for row in rest}


def test_export_of_exactly_max_rows_is_complete(many: Api) -> None:
    _, control = lines(many.get(f"{EXPORT}?max_rows=10500"))

    assert control["_end"] == {"rows": 10_500, "complete": True, "next_cursor": None}


def test_cursor_of_a_list_continues_in_an_export(twelve: Api) -> None:
    cursor = twelve.get(f"{INCIDENTS}?limit=9").json["pagination"]["next_cursor"]

    rows, _ = lines(twelve.get(f"{EXPORT}?cursor={cursor}"))

    assert [row["id"] for row in rows] == [11, 10, 12]


@pytest.mark.parametrize(
    ("query", "slug"),
    [
        ("max_rows=0", "invalid-parameter"),
        ("max_rows=1000001", "invalid-parameter"),
        ("max_rows=abc", "invalid-parameter"),
        ("severity=bogus", "invalid-severity"),
        ("status=bogus", "invalid-status"),
        ("since=bogus", "invalid-time-range"),
        ("cursor=bogus", "invalid-cursor"),
        ("view=bogus", "invalid-parameter"),
        ("namespace=%FF", "invalid-parameter"),
    ],
)
def test_bad_parameters_are_problems_and_not_lines(twelve: Api, query: str, slug: str) -> None:
    assert_problem(twelve.get(f"{EXPORT}?{query}"), 400, slug)


@pytest.mark.parametrize("name", ["limit", "offset", "count", "envelope"])
def test_parameters_of_pages_are_unknown_here(twelve: Api, name: str) -> None:
    assert twelve.get(f"{EXPORT}?{name}=nonsense").status == 200
    assert_problem(twelve.get(f"{EXPORT}?{name}=1", Prefer="handling=strict"), 400, "invalid-parameter")


@pytest.fixture(scope="module")
def single(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A service that runs two exports at a time, with more rows than a socket buffers."""
    directory = tmp_path_factory.mktemp("exports")
    with incident_stand(
        servers, directory, SERVER_WORKERS="1", INCIDENTS_MAX_CONCURRENT_EXPORTS="2"
    ) as stand:
        with stand.owner() as owner:
            insert_many(owner, 30_000)
        yield stand


def test_third_export_is_refused_until_one_ends(single: Stand) -> None:
    readers = [SlowReader(single.service), SlowReader(single.service)]

    refused = single.api.get(EXPORT)
    for reader in readers:
        reader.close()

    assert_problem(refused, 429, "too-many-exports")
    assert refused.headers["Retry-After"] == "5"
    eventually(lambda: single.api.get(f"{EXPORT}?max_rows=1").status == 200)


def test_slow_reader_holds_no_connection(single: Stand) -> None:
    reader = SlowReader(single.service)

    with single.owner() as owner:
        busy = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND usename = 'datastorage_app' AND state <> 'idle'"
        )
        eventually(lambda: owner.execute(busy).scalar_one() == 0)
    body = reader.read_to_the_end()

    assert b'{"_end":{"rows":30000,"complete":true,"next_cursor":null}}\n' in body


def test_head_makes_room_again(single: Stand) -> None:
    for _ in range(5):
        assert single.api.request("HEAD", EXPORT).status == 200


def test_failure_after_the_first_byte_is_the_last_line(single: Stand) -> None:
    reader = SlowReader(single.service)
    with single.owner() as owner:
        owner.execute(text("ALTER TABLE resource_action_traces RENAME COLUMN model_used TO model_of_old"))
        try:
            body = reader.read_to_the_end()
        finally:
            owner.execute(text("ALTER TABLE resource_action_traces RENAME COLUMN model_of_old TO model_used"))

    chunk = body.rpartition(b'{"_error":')[2].partition(b"\r\n")[0]
    error = json.loads(b'{"_error":' + chunk)["_error"]
    assert (error["status"], error["type"]) == (500, "https://kubernaut.ai/problems/internal-error")
    assert error["instance"] == EXPORT
    assert error["rows"] % 1000 == 0
    assert ids(single.api.get(f"{INCIDENTS}?cursor={error['next_cursor']}&limit=1"))
