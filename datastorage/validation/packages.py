"""Checks 4 and 5: what is installed is what was locked, and it can be imported."""

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

from datastorage.validation.check import Broken, NotApplicable
from datastorage.validation.subject import Subject

LOCK = "requirements.lock"
INSTALL = f"python -m pip install --require-hashes -r {LOCK}"
REQUIRED_PACKAGES = (
    "flask",
    "gunicorn",
    "sqlalchemy",
    "psycopg",
    "alembic",
    "redis",
    "marshmallow",
    "prometheus_client",
    "prometheus_flask_exporter",
    "yaml",
)


def dependencies(subject: Subject, seconds: float) -> str:
    """Compare installed versions with the lock file, and let pip say whether they fit together."""
    lock = subject.root / LOCK
    if not lock.is_file():
        raise NotApplicable(f"no {LOCK} beside the package: what an image holds was locked when it was built")
    locked = dict(_locked(lock))
    wrong = [f"{name} {found} instead of {wanted}" for name, wanted, found in _differing(locked)]
    if wrong:
        raise Broken(f"not as in {LOCK}: {', '.join(wrong)}", INSTALL)
    return f"{len(locked)} packages are installed as in {LOCK}{_consistency(seconds)}"


def _locked(lock: Path) -> Iterator[tuple[str, str]]:
    """Yield name and version of each line that is meant for this platform."""
    for line in lock.read_text(encoding="utf-8").splitlines():
        pin = line.split(" \\")[0]
        if pin and pin[0].isalnum():
            requirement = Requirement(pin)
            if requirement.marker is None or requirement.marker.evaluate():
                yield requirement.name, str(requirement.specifier).removeprefix("==")


def _differing(locked: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    for name, wanted in locked.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "missing"
        if found != wanted:
            yield name, wanted, found


def _consistency(seconds: float) -> str:
    if find_spec("pip") is None:
        return ""  # a virtual environment of uv has no pip
    command = [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    if result.returncode != 0:
        raise Broken(f"pip check: {'; '.join(result.stdout.splitlines())}", INSTALL)
    return ", and pip finds no conflict"


def imports(_subject: Subject, _seconds: float) -> str:
    """Import what the service cannot do without."""
    failed = [f"{name} ({error})" for name in REQUIRED_PACKAGES if (error := _import_error(name))]
    if failed:
        raise Broken(f"cannot be imported: {', '.join(failed)}", INSTALL)
    return f"all {len(REQUIRED_PACKAGES)} required packages can be imported"


def _import_error(name: str) -> str | None:
    try:
        import_module(name)
    except ImportError as error:
        return str(error)
    return None
