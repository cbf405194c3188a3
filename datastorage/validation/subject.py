"""What is being validated, and what a check raises instead of returning what it measured."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

import datastorage

TEST_SERVER = "DATASTORAGE_TEST_DATABASE_URL"
_USUAL_SERVERS = {
    "DATASTORAGE_DATABASE_URL": "postgresql://datastorage@localhost:5432/action_history",
    "DATASTORAGE_REDIS_URL": "redis://localhost:6379/0",
}
_SHORT_NAMES = {"DATASTORAGE_DATABASE_URL": "DB_", "DATASTORAGE_REDIS_URL": "REDIS_"}


class Broken(Exception):
    """Something is not as it should be; ``repair`` says what to type or to change."""

    def __init__(self, fact: str, repair: str) -> None:
        super().__init__(fact)
        self.repair = repair


class Doubtful(Broken):
    """Something works, but data may be lost."""


class NotApplicable(Exception):
    """There is nothing to examine on this machine; the text says why."""


@dataclass(frozen=True)
class Subject:
    """One installation, with the configuration that the service would read.

    Args:
        config_path: as ``--config`` would name it to the service.
        variables: the environment.
        root: the folder that holds the package.
        secrets: every password known so far.
    """

    config_path: Path | None
    variables: Mapping[str, str]
    root: Path = Path(datastorage.__file__).parents[1]
    secrets: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        variables = self.variables
        passwords = {variables.get(name) for name in ("DB_PASSWORD", "REDIS_PASSWORD")}
        passwords |= {_password_in(variables.get(name, "")) for name in (*_USUAL_SERVERS, TEST_SERVER)}
        self.secrets.update(password for password in passwords if password)

    @property
    def is_checkout(self) -> bool:
        """Whether this is a source tree, where tests and tools belong, and not an installed package."""
        return self.root.name not in {"site-packages", "dist-packages"}

    @cached_property
    def environ(self) -> Mapping[str, str]:
        """The environment, with the usual local servers where neither it nor a file names others."""
        if self.config_path is not None or self.variables.get("CONFIG_PATH"):
            return self.variables
        usual = {
            name: url
            for name, url in _USUAL_SERVERS.items()
            if not any(
                each.startswith((name.removesuffix("URL"), _SHORT_NAMES[name])) for each in self.variables
            )
        }
        return usual | dict(self.variables)

    def without_secrets(self, text: str) -> str:
        """Return ``text`` with every known password replaced: the messages of drivers are not ours."""
        for secret in self.secrets:
            text = text.replace(secret, "[REDACTED]")
        return text

    def run_module(self, *command: str, seconds: float) -> "subprocess.CompletedProcess[str]":
        """Run ``python -m`` in the root; more than ``seconds`` raises ``subprocess.TimeoutExpired``."""
        module = [sys.executable, "-m", *command]
        return subprocess.run(
            module, cwd=self.root, capture_output=True, text=True, check=False, timeout=seconds
        )


def _password_in(url: str) -> str | None:
    try:
        password = urlsplit(url).password
    except ValueError:
        return None
    return unquote(password) if password else None
