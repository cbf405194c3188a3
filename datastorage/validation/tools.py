"""Checks 7, 9 and 10: the tools and the source tree of the project's developers."""

import shutil
import subprocess
from importlib.util import find_spec

from datastorage.validation.subject import Broken, NotApplicable, Subject

TOOLS = {"ruff": ("check", "--quiet", "--output-format", "concise", "."), "mypy": ("--no-error-summary",)}
FILES = ("setup.cfg", "alembic.ini", "Containerfile", "tox.ini")
FOLDERS = ("datastorage", "tests", "alembic", "k8s")
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
        return subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True, timeout=seconds).strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def linters(subject: Subject, seconds: float) -> str:
    """Run the linter and the type checker over the source tree."""
    _require_checkout(subject)
    missing = [tool for tool in TOOLS if find_spec(tool) is None]
    if missing:
        raise Broken(f"not installed: {', '.join(missing)}", "make test installs the tools for development")
    for tool, arguments in TOOLS.items():
        result = subject.run_module(tool, *arguments, seconds=seconds)
        if result.returncode != 0:
            lines = (result.stdout or result.stderr).splitlines()
            raise Broken(f"{tool} reports {len(lines)} lines, the first: {lines[0]}", "tox run -e lint,types")
    return f"{' and '.join(TOOLS)} report nothing"


def layout(subject: Subject, _seconds: float) -> str:
    """Look for the files and folders that every part of the project expects."""
    _require_checkout(subject)
    missing = [f"{name}/" for name in FOLDERS if not (subject.root / name).is_dir()]
    missing += [name for name in FILES if not (subject.root / name).is_file()]
    if missing:
        repair = f"bring them back: git checkout -- {' '.join(missing)}"
        raise Broken(f"missing: {', '.join(missing)}", repair)
    return f"all {len(FILES) + len(FOLDERS)} files and folders of the project are there"


def _require_checkout(subject: Subject) -> None:
    if not subject.is_checkout:
        raise NotApplicable("this is an installed package, not a source tree")
