"""What is being validated: this installation, with the configuration that the service would read."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

import datastorage

TEST_SERVER = "DATASTORAGE_TEST_DATABASE_URL"
_USUAL_PLACES = {
    "DATASTORAGE_DATABASE_URL": "postgresql://datastorage@localhost:5432/action_history",
    "DATASTORAGE_REDIS_URL": "redis://localhost:6379/0",
}
_OTHER_NAMES = {
    "DATASTORAGE_DATABASE_URL": ("DATASTORAGE_DATABASE_", "DB_"),
    "DATASTORAGE_REDIS_URL": ("DATASTORAGE_REDIS_", "REDIS_"),
}


@dataclass(frozen=True)
class Subject:
    """One installation.

    Args:
        config_path: as ``--config`` would name it to the service.
        variables: the environment.
        root: the folder that holds the package.

    Attributes:
        secrets: every password known so far.
    """

    config_path: Path | None
    variables: Mapping[str, str]
    root: Path = Path(datastorage.__file__).parents[1]
    secrets: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        variables = self.variables
        passwords = {variables.get(name) for name in ("DB_PASSWORD", "REDIS_PASSWORD")}
        passwords |= {_password_in(variables.get(name, "")) for name in (*_USUAL_PLACES, TEST_SERVER)}
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
            for name, url in _USUAL_PLACES.items()
            if not any(each.startswith(_OTHER_NAMES[name]) for each in self.variables)
        }
        return usual | dict(self.variables)

    def without_secrets(self, text: str) -> str:
        """Return ``text`` with every password known here replaced: drivers' messages are not ours."""
        for secret in self.secrets:
            text = text.replace(secret, "[REDACTED]")
        return text

    def command(self, *arguments: str) -> list[str]:
        """Return how to run ``datastorage`` with this configuration."""
        config = [f"--config={self.config_path}"] if self.config_path is not None else []
        return [sys.executable, "-m", "datastorage", *config, *arguments]


def _password_in(url: str) -> str | None:
    try:
        password = urlsplit(url).password
    except ValueError:
        return None
    return unquote(password) if password else None
