"""Checks 7, 9 and 10: the tools and the source tree of the project's developers."""

import shutil
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
INSTALL_ENGINE = (
    "install the package podman (Fedora, RHEL, Debian), or docker.io (Debian) and start its service"
)


def container_tool(_subject: Subject, seconds: float) -> str:
    """Ask podman, or docker, which version its engine has."""
    silent = []
    for name in ("podman", "docker"):
        if (path := shutil.which(name)) is not None:
            version = _engine_version(path, seconds / 2)
            if version:
                return f"container tool answers, {name}: {version}"
            silent.append(f"{name}: no answer")
    found = f"no container engine answers ({', '.join(silent)})"
    raise Broken(found if silent else "neither podman nor docker is installed", INSTALL_ENGINE)


def _engine_version(path: str, seconds: float) -> str:
    command = [path, "version", "--format", "{{.Server.Version}}"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds)
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()


def linters(subject: Subject, seconds: float) -> str:
    """Run the linter and the type checker over the source tree."""
    _require_checkout(subject)
    missing = [tool for tool in TOOLS if find_spec(tool) is None]
    if missing:
        raise Broken(f"not installed: {', '.join(missing)}", "make test installs the tools for development")
    for tool, arguments in TOOLS.items():
        command = [sys.executable, "-m", tool, *arguments]
        result = subprocess.run(
            command, cwd=subject.root, capture_output=True, text=True, check=False, timeout=seconds
        )
        if result.returncode != 0:
            lines = (result.stdout or result.stderr).splitlines()
            raise Broken(f"{tool} reports {len(lines)} lines, the first: {lines[0]}", "tox run -e lint,types")
    return f"{' and '.join(TOOLS)} report nothing"


def layout(subject: Subject, _seconds: float) -> str:
    """Look for the files and folders that every part of the project expects."""
    _require_checkout(subject)
    missing = " ".join(name for name in LAYOUT if not _is_there(subject, name))
    if missing:
        raise Broken(f"missing: {missing.replace(' ', ', ')}", f"bring them back: git checkout -- {missing}")
    return f"all {len(LAYOUT)} files and folders of the project are there"


def _require_checkout(subject: Subject) -> None:
    if not subject.is_checkout:
        raise NotApplicable("this is an installed package, not a source tree")


def _is_there(subject: Subject, name: str) -> bool:
    path = subject.root / name
    return path.is_dir() if name.endswith("/") else path.is_file()
