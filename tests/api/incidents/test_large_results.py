"""More rows than a page holds, and many clients at once (BR-STORAGE-027)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any

from tests.support.builders import now, rfc3339, unique
from tests.support.http import Api
from tests.support.incident_builders import BATCH, INCIDENTS, an_incident
from tests.support.incident_stand import ids


def test_largest_page_has_a_thousand_rows(many: Api) -> None:
    answer = many.get(f"{INCIDENTS}?limit=1000")

    assert len(set(ids(answer))) == 1000
    assert answer.json["total"] == 10_500
    assert answer.json["pagination"]["has_more"] is True


def test_last_page_has_the_rest(many: Api) -> None:
    answer = many.get(f"{INCIDENTS}?limit=1000&offset=10000")

    assert len(ids(answer)) == 500
    assert answer.json["pagination"]["has_more"] is False


def test_offsets_and_cursors_walk_through_the_same_rows(many: Api) -> None:
    by_offset = [
        incident for offset in range(0, 10_500, 700)
        for incident in ids(many.get(f"{INCIDENTS}?limit=700&offset={offset}"))
    ]  # fmt: skip
    by_cursor: list[int] = []
    page = many.get(f"{INCIDENTS}?limit=1000")
    by_cursor += ids(page)
    while cursor := page.json["pagination"]["next_cursor"]:
        page = many.get(f"{INCIDENTS}?limit=1000&cursor={cursor}")
        by_cursor += ids(page)

    assert by_offset == by_cursor
    assert len(set(by_offset)) == 10_500


def test_hundred_requests_at_once_get_the_same_answer(twelve: Api) -> None:
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: twelve.get(INCIDENTS), range(100)))

    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1


def test_reads_during_writes_are_consistent(api: Api) -> None:
    namespace = unique("ns")

    def write(_: int) -> int:
        return api.post(BATCH, [an_incident(namespace=namespace) for _ in range(10)]).status

    def read(_: int) -> dict[str, Any]:
        page: dict[str, Any] = api.get(INCIDENTS, {"namespace": namespace, "limit": 1000}).json
        return page

    with ThreadPoolExecutor(16) as pool:
        written = [pool.submit(write, number) for number in range(20)]
        pages = list(pool.map(read, range(60)))
        statuses = {each.result() for each in written}

    assert statuses == {201}
    assert all(
        page["total"] == len(page["data"]) == len({row["id"] for row in page["data"]}) for page in pages
    )
    assert all(page["total"] % 10 == 0 for page in pages)
    assert read(0)["total"] == 200


def test_page_and_total_show_the_same_moment_and_nothing_older_than_the_request(api: Api) -> None:
    namespace, start = unique("ns"), now(hours=-1)
    stored, is_over = [0], Event()

    def write() -> None:
        for number in range(1, 31):
            at = rfc3339(start + timedelta(seconds=number))
            incident = {"namespace": namespace, "action_timestamp": at, "workflow_step_number": number}
            assert api.post(BATCH, [an_incident(**incident) for _ in range(10)]).status == 201
            stored[0] = number

    def read(reader: int) -> list[tuple[int, int, int]]:
        """Return the newest batch stored before each request, the newest of its page, and its total."""
        seen = []
        while not is_over.is_set():
            before = stored[0]
            page = api.get(INCIDENTS, {"namespace": namespace, "limit": 1 + reader % 3}).json
            newest = page["data"][0]["workflow_step_number"] if page["data"] else 0
            seen.append((before, newest, page["total"]))
        return seen

    with ThreadPoolExecutor(17) as pool:
        readers = [pool.submit(read, reader) for reader in range(16)]
        writer = pool.submit(write)
        writer.add_done_callback(lambda _: is_over.set())
        writer.result()
        pages = [page for reader in readers for page in reader.result()]

    assert all(newest >= before for before, newest, _ in pages)
    assert all(total == 10 * newest for _, newest, total in pages)
    assert len({total for *_, total in pages}) > 5
