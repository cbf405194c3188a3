"""An export of a hundred thousand rows: its memory, and how it ends when the service has to stop."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.http import Api
from tests.support.incident_builders import EXPORT
from tests.support.incident_stand import Stand, incident_stand, insert_many
from tests.support.servers import Servers
from tests.support.service import ServiceProcess
from tests.support.slow_reader import SlowReader
from tests.support.waiting import eventually

ROWS = 100_000


@pytest.fixture(scope="module")
def stand(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A service of one worker whose database holds a hundred thousand incidents."""
    directory = tmp_path_factory.mktemp("long")
    with incident_stand(servers, directory, SERVER_WORKERS="1") as stand:
        with stand.owner() as owner:
            insert_many(owner, ROWS)
        yield stand


def test_memory_is_bounded_by_a_page(stand: Stand) -> None:
    stand.api.get(f"{EXPORT}?max_rows=5000")
    (worker,) = Path(f"/proc/{stand.service.pid}/task/{stand.service.pid}/children").read_text().split()
    process = Path("/proc", worker)
    before = kibibytes(process, "VmRSS")
    (process / "clear_refs").write_text("5")  # the peak starts again from here

    body = stand.api.get(EXPORT).body

    assert len(body) > 50 << 20
    assert body.count(b"\n") == ROWS + 1
    assert kibibytes(process, "VmHWM") - before < 50 << 10


def kibibytes(process: Path, name: str) -> int:
    """Return a size from the status of a process."""
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def test_shutdown_ends_an_export_with_a_cursor_that_goes_on(stand: Stand, tmp_path: Path) -> None:
    urls = stand.service.database_url, stand.service.redis_url
    with ServiceProcess(tmp_path, *urls, SERVER_ENDPOINT_PROPAGATION_DELAY="3s") as service:
        reader = SlowReader(service)
        service.signal(signal.SIGTERM)
        eventually(lambda: service.metrics_api.get("/health/ready").status == 503)

        sent = dechunked(reader.read_to_the_end())

    *rows, control = [json.loads(line) for line in sent.splitlines()]
    end = control["_end"]
    assert (end["complete"], end["reason"], end["rows"]) == (False, "shutting_down", len(rows))
    assert 0 < len(rows) < ROWS
    rest = continued(stand.api, end["next_cursor"])
    ids = [row["id"] for row in rows] + rest
    assert len(ids) == len(set(ids)) == ROWS


def continued(api: Api, cursor: str) -> list[int]:
    """Return the ids of the rows that are left."""
    *rows, control = [json.loads(line) for line in api.get(f"{EXPORT}?cursor={cursor}").body.splitlines()]
    assert control["_end"]["complete"] is True
    return [row["id"] for row in rows]


def dechunked(received: bytes) -> bytes:
    """Return the body of a chunked response whose status line is read already."""
    body, rest = b"", received.partition(b"\r\n\r\n")[2]
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return body
