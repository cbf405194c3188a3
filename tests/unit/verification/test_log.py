import gzip
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from uuid import UUID

import pytest

from datastorage.ledger.checkpoint import Checkpoint
from datastorage.ledger.keys import SigningKey
from datastorage.ledger.leaf import Leaf
from datastorage.ledger.tiles import ENTRIES, TILE_WIDTH, bundle_of, root_of, tiles_of
from datastorage.ledger.tree import leaf_hash
from tests.support.ledger_cases import Files, item, vkey
from tests.support.ledger_vectors import FOLDER, SIZE, document, leaves, signing_key, texts
from tests.support.verifier import run

LOG = str(FOLDER / "log")


class QuietHandler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def website() -> Iterator[str]:
    handler = partial(QuietHandler, directory=str(FOLDER))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def a_log_of(size: int, folder: Path) -> Path:
    """Write a log of ``size`` leaves that are all the same."""
    leaf = leaves()[0]
    hashes = [leaf_hash(leaf)] * size
    for tile in tiles_of(ENTRIES, size):
        write(folder / tile.path, bundle_of([leaf] * tile.width))
    level, below = 0, hashes
    while below:
        for tile in tiles_of(level, size):
            start = tile.number * TILE_WIDTH
            write(folder / tile.path, b"".join(below[start : start + tile.width]))
        full = len(below) // TILE_WIDTH
        below = [root_of(below[n * TILE_WIDTH : (n + 1) * TILE_WIDTH]) for n in range(full)]
        level += 1
    checkpoint = Checkpoint(signing_key().verifier.name, size, root_of(hashes))
    write(folder / "checkpoint", str(checkpoint.signed([signing_key()])).encode())
    return folder


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_log_behind_a_url_is_read_like_a_folder(website: str) -> None:
    exit_code, output = run(["log", f"{website}/log/", "--key", vkey()])

    assert (exit_code, output) == (0, "ok\n280 leaves of ds.example.org/api/v1/audit/ledger\n")


@pytest.mark.parametrize("place", ["/nothing-here", "/missing.p/"])
def test_log_that_is_not_there_is_incomplete(website: str, tmp_path: Path, place: str) -> None:
    assert run(["log", website + place, "--key", vkey()])[0] == 3
    assert run(["log", str(tmp_path / place[1:]), "--key", vkey()])[0] == 3


def test_server_that_does_not_answer_is_incomplete() -> None:
    exit_code, output = run(["log", "http://127.0.0.1:1", "--key", vkey()])

    assert exit_code == 3
    assert output.startswith("incomplete missing checkpoint: ConnectionRefusedError")


@pytest.mark.parametrize("url", ["http://[::1", "https://host:port"])
def test_url_that_is_none_is_wrong_usage(url: str) -> None:
    assert run(["log", url, "--key", vkey()])[0] == 2


@pytest.mark.parametrize("size", [0, 1, 255, 256, 512, 70_000])
def test_logs_of_many_sizes_are_good(tmp_path: Path, size: int) -> None:
    assert run(["log", str(a_log_of(size, tmp_path / "log")), "--key", vkey()])[0] == 0


def test_changed_hash_of_an_upper_level_is_found(tmp_path: Path) -> None:
    log = a_log_of(70_000, tmp_path / "log")
    upper = log / "tile/1/001.p/17"
    upper.write_bytes(bytes(32) + upper.read_bytes()[32:])

    exit_code, output = run(["log", str(log), "--key", vkey()])

    assert exit_code == 1
    assert output == "TAMPERED tile tile/1/001.p/17 differs from the tiles of level 0\n"


def test_partial_tiles_may_be_gone_where_the_full_one_is_there(files: Files) -> None:
    log = files.log()
    for path in ("tile/0/001", "tile/entries/001"):
        partial_tile = log / f"{path}.p/24"
        more = partial_tile.read_bytes() + (bytes(32) if "0/" in path else b"\0\1x")
        partial_tile.unlink()
        (log / path).write_bytes(more)

    assert run(["log", str(log), "--key", vkey()])[0] == 0


@pytest.mark.parametrize(
    ("path", "data", "word"),
    [
        ("tile/0/001.p/24", bytes(31), "tile"),
        ("tile/1/000.p/1", bytes(32), "tile"),
        ("tile/entries/001.p/24", b"\0\2x", "entry"),
        ("tile/entries/001.p/24", b"\0\1x", "entry"),
        ("checkpoint", b"nothing", "signature"),
    ],
)
def test_damaged_file_of_a_log_is_named(files: Files, path: str, data: bytes, word: str) -> None:
    log = files.log()
    (log / path).write_bytes(data)

    exit_code, output = run(["log", str(log), "--key", vkey()])

    assert (exit_code, output.split()[:2]) == (1, ["TAMPERED", word])


def test_history_rewritten_and_signed_with_the_true_key_is_a_fork(tmp_path: Path) -> None:
    other = a_log_of(SIZE + 1, tmp_path / "rewritten")

    exit_code, output = run(
        ["log", str(other), "--key", vkey(), "--since", str(FOLDER / "checkpoints/257.txt")]
    )

    assert (exit_code, output.split()[:2]) == (1, ["TAMPERED", "fork"])
    assert run(["log", str(other), "--key", vkey()])[0] == 0, "nothing else tells"


@pytest.mark.parametrize("size", [1, 8, 256, 257, 279, 280])
def test_log_has_grown_from_every_older_checkpoint(size: int) -> None:
    assert run(["log", LOG, "--key", vkey(), "--since", str(FOLDER / f"checkpoints/{size}.txt")])[0] == 0


def test_export_with_gaps_and_an_end_is_compared_line_by_line(files: Files) -> None:
    lines = [item(index, texts()[index]) for index in (0, 11, 255, 256, 279)]
    gone = b'{"leaf_index":257,"event":null,"event_id":"%b"}\n' % str(event_id(257)).encode()
    end = b'{"_end":{"rows":6,"complete":true,"next":280}}\n'
    export = files.write(b"".join([*lines[:4], gone, lines[4], end]))

    exit_code, output = run(["log", LOG, "--key", vkey(), "--events", str(export)])

    assert exit_code == 0
    assert output.endswith("280 leaves of ds.example.org/api/v1/audit/ledger, 6 lines of them\n")


def event_id(index: int) -> UUID:
    return Leaf.decoded(leaves()[index]).id


def test_event_gone_under_another_id_differs(files: Files) -> None:
    line = b'{"leaf_index":9,"event":null,"event_id":"%b","archived":true}\n' % str(event_id(8)).encode()

    exit_code, output = run(["log", LOG, "--key", vkey(), "--events", str(files.write(line))])

    assert (exit_code, output) == (1, "TAMPERED digest line 1 differs from leaf 9\n")


@pytest.mark.parametrize(
    ("lines", "exit_code", "said"),
    [
        (item(280, texts()[0]), 3, "incomplete missing the log has no leaf 280, see line 1"),
        (b'{"_error":{"status":500,"rows":0,"next":0}}\n', 3, "the export broke off at line 1"),
        (item(3, texts()[3]) + item(3, texts()[3]), 2, "line 2 is of a leaf below that of the line before"),
        (item(3, texts()[3])[:-5], 2, "line 1 is no item of a feed"),
        (b"{}\n", 2, "line 1 is no item of a feed"),
        (b"[]\n", 2, "line 1 is no item of a feed"),
        (item(3, b"{}"), 1, "TAMPERED digest line 1 differs from leaf 3"),
    ],
)
def test_lines_that_are_no_leaves_of_the_log(files: Files, lines: bytes, exit_code: int, said: str) -> None:
    result = run(["log", LOG, "--key", vkey(), "--events", str(files.write(lines))])

    assert result[0] == exit_code
    assert said in result[1]


def test_older_checkpoint_of_another_log_is_wrong_usage(files: Files) -> None:
    pem = document("keys.json")["key"]["private_pem"].encode()
    other = SigningKey.of_pem("elsewhere", pem)
    note = Checkpoint("elsewhere", 5, bytes(32)).signed([other])
    keys = files.write(f"{vkey()}\n{other.verifier.vkey}\n".encode())

    exit_code, output = run(["log", LOG, "--key", str(keys), "--since", str(files.write(str(note).encode()))])

    assert exit_code == 2
    assert "the older checkpoint is of another log, elsewhere" in output


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_archived_month_equals_its_leaves(files: Files, pack: type[bytes]) -> None:
    good = b"".join(item(index, texts()[index]) for index in range(1, 30, 2))
    bad = good.replace(b"received", b"rejected", 1)

    assert run(["archive", str(files.write(pack(good))), "--log", LOG, "--key", vkey()])[0] == 0
    exit_code, output = run(["archive", str(files.write(pack(bad))), "--log", LOG, "--key", vkey()])
    assert (exit_code, output) == (1, "TAMPERED digest line 1 differs from leaf 1\n")


def test_archive_cut_off_is_incomplete(files: Files) -> None:
    cut = gzip.compress(item(1, texts()[1]))[:-12]

    exit_code, output = run(["archive", str(files.write(cut)), "--log", LOG, "--key", vkey()])

    assert (exit_code, output.split()[:2]) == (3, ["incomplete", "missing"])


def test_parquet_asks_for_its_reader(files: Files) -> None:
    exit_code, output = run(["archive", str(files.write(b"PAR1...")), "--log", LOG, "--key", vkey()])

    assert exit_code == 2
    assert "datastorage-client[archive]" in output
