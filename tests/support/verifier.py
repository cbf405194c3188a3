"""The verifier as a client has it: without the service, in a process of its own.

Run as a program it reads lists of arguments of ``verify`` from standard input and writes, for each, the exit
code and what was printed. ``isolated`` runs it where nothing can be imported but what the client ships.
"""

import json
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from click.testing import CliRunner

from datastorage.verification.cli import verify

ROOT = Path(__file__).parents[2]
OURS = ("__init__.py", "ledger", "verification")
THEIRS = ("cryptography", "cbor2", "_cffi_backend*", "click")


def run(arguments: Sequence[str]) -> tuple[int, str]:
    """Return exit code and output of ``verify`` with these arguments."""
    result = CliRunner(catch_exceptions=False).invoke(verify, list(arguments))
    return result.exit_code, result.output


def isolated(folder: Path, cases: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
    """Return exit code and output for each of ``cases``; ``folder`` becomes the place of all packages."""
    package = folder / "datastorage"
    package.mkdir(parents=True)
    for name in OURS:
        (package / name).symlink_to(ROOT / "datastorage" / name)
    for pattern in THEIRS:
        for found in Path(sysconfig.get_path("platlib")).glob(pattern):
            (folder / found.name).symlink_to(found)
    # -S leaves out site-packages, -I the environment and the current folder.
    search = f"import runpy, sys; sys.path.append({str(folder)!r})"
    code = f"{search}; runpy.run_path({__file__!r}, run_name='__main__')"
    done = subprocess.run(  # noqa: S603 - our own Python
        [sys.executable, "-S", "-I", "-c", code],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [(exit_code, output) for exit_code, output in json.loads(done.stdout)]


if __name__ == "__main__":
    json.dump([run(case) for case in json.load(sys.stdin)], sys.stdout)
