"""What is being validated: this installation, with the configuration that the service would read."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import datastorage

if TYPE_CHECKING:
    from datastorage.settings import Settings

_DATABASE = "DATASTORAGE_DATABASE_URL"
_REDIS = "DATASTORAGE_REDIS_URL"
_USUAL_PLACES = {
    _DATABASE: "postgresql://datastorage@localhost:5432/action_history",
    _REDIS: "redis://localhost:6379/0",
}
TEST_SERVER = "DATASTORAGE_TEST_DATABASE_URL"
_PASSWORDS = ("DB_PASSWORD", "REDIS_PASSWORD")
_OTHER_NAMES = {_DATABASE: ("DATASTORAGE_DATABASE_", "DB_"), _REDIS: ("DATASTORAGE_REDIS_", "REDIS_")}


@dataclass(frozen=True)
class Subject:
    """One installation.

    Args:
        config_path: as ``--config`` would name it to the service.
        variables: the environment.
        root: the folder that holds the package.
    """

    config_path: Path | None
    variables: Mapping[str, str]
    root: Path = Path(datastorage.__file__).parents[1]

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

    @cached_property
    def settings(self) -> "Settings":
        """The settings of the service.

        Raises:
            SettingsError: with every mistake in them.
        """
        from datastorage.settings import Settings

        return Settings.load(self.config_path, self.environ)

    def without_secrets(self, text: str) -> str:
        """Return ``text`` with every password known here replaced: drivers' messages are not ours."""
        for secret in self._secrets:
            text = text.replace(secret, "[REDACTED]")
        return text

    @cached_property
    def _secrets(self) -> set[str]:
        urls = (self.variables.get(name, "") for name in (_DATABASE, _REDIS, TEST_SERVER))
        found = {_password_in(url) for url in urls} | {self.variables.get(name) for name in _PASSWORDS}
        # Whatever went wrong with the settings is a finding of its own.
        with suppress(Exception):
            found |= {self.settings.database.password, self.settings.redis.password}
        return {secret for secret in found if secret}

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
