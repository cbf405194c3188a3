"""Checks 4 and 5: what is installed is what was locked, and it can be imported."""

from collections.abc import Iterator
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

from datastorage.validation.subject import Broken, NotApplicable, Subject

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
    found = {name: _installed(name) for name in locked}
    wrong = [
        f"{name} {found[name]} instead of {locked[name]}" for name in locked if found[name] != locked[name]
    ]
    if wrong:
        raise Broken(f"not as in {LOCK}: {', '.join(wrong)}", INSTALL)
    fact = f"{len(locked)} packages are installed as in {LOCK}"
    if find_spec("pip") is None:
        return fact  # a virtual environment of uv has no pip
    result = subject.run_module("pip", "check", "--disable-pip-version-check", seconds=seconds)
    if result.returncode != 0:
        raise Broken(f"pip check: {'; '.join(result.stdout.splitlines())}", INSTALL)
    return f"{fact}, and pip finds no conflict"


def _locked(lock: Path) -> Iterator[tuple[str, str]]:
    """Yield name and version of each line that is meant for this platform."""
    for line in lock.read_text(encoding="utf-8").splitlines():
        pin = line.split(" \\")[0]
        if pin and pin[0].isalnum():
            requirement = Requirement(pin)
            if requirement.marker is None or requirement.marker.evaluate():
                yield requirement.name, str(requirement.specifier).removeprefix("==")


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def imports(_subject: Subject, _seconds: float) -> str:
    """Import what the service cannot do without."""
    failed = []
    for name in REQUIRED_PACKAGES:
        try:
            import_module(name)
        except ImportError as error:
            failed.append(f"{name} ({error})")
    if failed:
        raise Broken(f"cannot be imported: {', '.join(failed)}", INSTALL)
    return f"all {len(REQUIRED_PACKAGES)} required packages can be imported"
