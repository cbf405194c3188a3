"""The 28 cases of ``expect.json`` as arguments of ``verify``; files that a case changes are copies."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.ledger_vectors import FOLDER, content, document, texts


@dataclass(frozen=True)
class Case:
    """What ``verify`` is asked, and what it has to say."""

    name: str
    arguments: list[str]
    exit_code: int
    word: str


def cases(folder: Path) -> list[Case]:
    """Return all cases; what they read lies in ``folder`` or among the vectors."""
    files = Files(folder)
    return [
        Case(found["case"], files.arguments(found["verify"]), found["exit"], found["word"])
        for found in document("expect.json")
    ]


class Files:
    """Makes the files that ``expect.json`` describes in words."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def arguments(self, described: list[str]) -> list[str]:
        command, *rest = described
        return [command, *map(self._argument, rest), "--key", vkey()]

    def _argument(self, described: str) -> str:
        made: dict[str, Any] = {
            "log with checkpoints/257.txt as its checkpoint": self._older_log,
            "log with byte 320 of tile/0/000 changed": lambda: self._flipped_log("tile/0/000", 320),
            "log with byte 40 of tile/entries/000 changed": lambda: self._flipped_log("tile/entries/000", 40),
            "log without tile/0/001.p/24": self._log_without_a_tile,
            "feed items made from entries.ndjson": lambda: self.export(list(texts())),
            "the same, leaf 11 from wrong/event-edited.json": self._edited_export,
            "that proof with checkpoints/280-cosigned.txt as its checkpoint": self._cosigned_proof,
            "<witness vkey>": lambda: vkey("witness"),
        }
        if described in made:
            return str(made[described]())
        if described.startswith("line "):
            return str(self.write(texts()[int(described.split()[1]) - 1]))
        return str(FOLDER / described) if (FOLDER / described).exists() else described

    def write(self, data: bytes) -> Path:
        self._count += 1
        path = self._folder / f"file-{self._count}"
        path.write_bytes(data)
        return path

    def log(self) -> Path:
        """Return a copy of the log."""
        self._count += 1
        return Path(shutil.copytree(FOLDER / "log", self._folder / f"log-{self._count}"))

    def export(self, chosen: list[bytes]) -> Path:
        return self.write(b"".join(map(item, range(len(chosen)), chosen)))

    def _older_log(self) -> Path:
        log = self.log()
        (log / "checkpoint").write_bytes(content("checkpoints/257.txt"))
        return log

    def _flipped_log(self, path: str, place: int) -> Path:
        log = self.log()
        data = bytearray((log / path).read_bytes())
        data[place] ^= 1
        (log / path).write_bytes(data)
        return log

    def _log_without_a_tile(self) -> Path:
        log = self.log()
        (log / "tile/0/001.p/24").unlink()
        return log

    def _edited_export(self) -> Path:
        chosen = list(texts())
        chosen[11] = content("wrong/event-edited.json").removesuffix(b"\n")
        return self.export(chosen)

    def _cosigned_proof(self) -> Path:
        head = content("proofs/11.tlog-proof").partition(b"\n\n")[0]
        return self.write(head + b"\n\n" + content("checkpoints/280-cosigned.txt"))


def item(index: int, text: bytes) -> bytes:
    """Return the line of a feed export."""
    name = b"statement" if text.startswith(b'{"statement_id"') else b"event"
    return b'{"leaf_index":%d,"%b":%b}\n' % (index, name, text)


def vkey(which: str = "key") -> str:
    keys: dict[str, Any] = document("keys.json")
    return str(keys[which]["vkey"])
