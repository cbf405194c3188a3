"""Natural changes, made in a copy of the source tree: what follows from them is seen from outside."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.guards.source import ROOT

SCRIPTS = Path(__file__).parent
Edits = dict[str, tuple[str, str]]


class Copy:
    """A copy of the source tree in which one may write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("datastorage", "alembic"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "alembic.ini", folder)

    def replace(self, path: str, old: str, new: str) -> None:
        """Change one place of one file."""
        file = self.folder / path
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path} has changed: {old!r} is there {text.count(old)} times"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def write(self, path: str, text: str) -> None:
        """Write a whole file."""
        (self.folder / path).write_text(text, encoding="utf-8")

    def run(self, script: str, **arguments: str) -> Any:
        """Run one of the scripts of this folder with the code of the copy; return the JSON it prints."""
        done = subprocess.run(  # noqa: S603 - our own script
            [sys.executable, SCRIPTS / script, json.dumps(arguments)],
            env={"PYTHONPATH": str(self.folder), "PATH": ""},
            cwd=self.folder,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout.splitlines()[-1])


MakeCopy = Callable[[str], Copy]


@pytest.fixture(scope="session")
def make_copy(tmp_path_factory: pytest.TempPathFactory) -> MakeCopy:
    """Copy the source tree."""
    return lambda name: Copy(tmp_path_factory.mktemp(name))
