"""Checks 9 and 10: the source tree. An installed package has none."""

import subprocess
import sys
from importlib.util import find_spec

from datastorage.validation.check import Broken, NotApplicable
from datastorage.validation.subject import Subject

TOOLS = {"ruff": ("check", "--quiet", "--output-format", "concise", "."), "mypy": ("--no-error-summary",)}
LAYOUT = (
    "setup.cfg",
    "datastorage/",
    "tests/",
    "alembic/",
    "alembic.ini",
    "k8s/",
    "Containerfile",
    "tox.ini",
)
_INSTALLED = "this is an installed package, not a source tree"


def linters(subject: Subject, seconds: float) -> str:
    """Run the linter and the type checker over the source tree."""
    if not subject.is_checkout:
        raise NotApplicable(_INSTALLED)
    missing = [tool for tool in TOOLS if find_spec(tool) is None]
    if missing:
        raise Broken(f"not installed: {', '.join(missing)}", "make test installs the tools for development")
    for tool, arguments in TOOLS.items():
        command = [sys.executable, "-m", tool, *arguments]
        result = subprocess.run(  # noqa: S603 - our own command
            command, cwd=subject.root, capture_output=True, text=True, check=False, timeout=seconds
        )
        if result.returncode != 0:
            lines = (result.stdout or result.stderr).splitlines()
            raise Broken(f"{tool} reports {len(lines)} lines, the first: {lines[0]}", "tox run -e lint,types")
    return f"{' and '.join(TOOLS)} report nothing"


def layout(subject: Subject, _seconds: float) -> str:
    """Look for the files and folders that every part of the project expects."""
    if not subject.is_checkout:
        raise NotApplicable(_INSTALLED)
    missing = [name for name in LAYOUT if not _is_there(subject, name)]
    if missing:
        raise Broken(
            f"missing: {', '.join(missing)}", f"bring them back: git checkout -- {' '.join(missing)}"
        )
    return f"all {len(LAYOUT)} files and folders of the project are there"


def _is_there(subject: Subject, name: str) -> bool:
    path = subject.root / name
    return path.is_dir() if name.endswith("/") else path.is_file()
