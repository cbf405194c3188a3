"""Running our Python as somebody else, for tests that run as root and stand for a normal user."""

import contextlib
import os
import pwd
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import datastorage


def normal_user() -> pwd.struct_passwd:
    """Return somebody who is not root: ourselves, or nobody."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


@contextlib.contextmanager
def open_directory() -> Iterator[Path]:
    """Make a directory that every user can reach; those of pytest are private."""
    folder = Path(tempfile.mkdtemp(prefix="embedded-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@dataclass(frozen=True)
class UserPython:
    """A Python with our packages that ``user`` can run, and the options of ``Popen`` to do so."""

    python: Path
    options: dict[str, Any]

    @classmethod
    def find(cls, user: pwd.struct_passwd, folder: Path) -> "UserPython":
        """Return this Python, or a copy of it in ``folder`` when it lies below a home closed to ``user``."""
        for python in (Path(sys.executable), _copy_of_python(folder / "python")):
            found = cls(python, _options(user, python, folder))
            with contextlib.suppress(PermissionError):
                if found.run("import datastorage, psycopg, redis, gunicorn, alembic").returncode == 0:
                    return found
        pytest.skip(f"{user.pw_name} cannot reach the installed packages")

    def run(self, script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run ``script`` to its end."""
        command = [self.python, "-W", "error", "-c", script, *arguments]
        return subprocess.run(  # noqa: S603 - our own Python
            command, capture_output=True, text=True, check=False, timeout=120, **self.options
        )


def _copy_of_python(target: Path) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = Path(sys.base_prefix, "lib")
    unneeded = shutil.ignore_patterns("test", "site-packages", "config-*", "__pycache__")
    shutil.copytree(library / version, target / "lib" / version, ignore=unneeded)
    for shared in library.glob("libpython*.so*"):
        shutil.copy2(shared, target / "lib")
    (target / "bin").mkdir()
    return Path(shutil.copy2(Path(sys.executable).resolve(), target / "bin" / version))


def _options(user: pwd.struct_passwd, python: Path, folder: Path) -> dict[str, Any]:
    packages = [str(Path(datastorage.__file__).parents[1]), *site.getsitepackages()]
    environ = {
        "PYTHONPATH": os.pathsep.join(packages),
        "LD_LIBRARY_PATH": str(python.parents[1] / "lib"),
        "PATH": os.defpath,
    }
    changed_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return {"cwd": folder, "env": environ} | (changed_user if os.geteuid() == 0 else {})
