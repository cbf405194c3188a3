from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from datastorage.settings import Settings, SettingsError

WriteConfig = Callable[..., Path]
Load = Callable[..., Settings]
Fail = Callable[..., SettingsError]

DATABASE_SECRET = "s3cret-of-the-database"
REDIS_SECRET = "s3cret-of-redis"

URLS = {
    "DATASTORAGE_DATABASE_URL": "postgresql://app:p%40ss@db.example:5433/history?sslmode=require",
    "DATASTORAGE_REDIS_URL": "redis://:hush@cache.example:6380/3",
}


@pytest.fixture
def write_config(tmp_path: Path) -> WriteConfig:
    """Write a complete file, with the groups given merged over it; ``None`` removes a key."""

    def write(**groups: Mapping[str, Any]) -> Path:
        content = _complete(tmp_path)
        for group, values in groups.items():
            merged = {**content.get(group, {}), **values}
            content[group] = {key: value for key, value in merged.items() if value is not None}
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def _complete(directory: Path) -> dict[str, dict[str, Any]]:
    database_secrets = directory / "database.yaml"
    database_secrets.write_text(f'username: from_the_file\npassword: "{DATABASE_SECRET}"\n')
    redis_secrets = directory / "redis.yaml"
    redis_secrets.write_text(f'password: "{REDIS_SECRET}"\n')
    return {
        "server": {"port": 8080},
        "database": {
            "host": "postgres.data.svc",
            "port": 5432,
            "name": "action_history",
            "user": "datastorage",
            "secretsFile": str(database_secrets),
            "passwordKey": "password",
        },
        "redis": {
            "addr": "redis.data.svc:6379",
            "secretsFile": str(redis_secrets),
            "passwordKey": "password",
        },
    }


@pytest.fixture
def load(write_config: WriteConfig) -> Load:
    """Load the complete file with changed groups; ``environ`` is the whole environment."""

    def load_settings(environ: Mapping[str, str] | None = None, **groups: Mapping[str, Any]) -> Settings:
        return Settings.load(write_config(**groups), environ or {})

    return load_settings


@pytest.fixture
def fail(load: Load) -> Fail:
    """Load as ``load`` does, and return the error that must come of it."""

    def load_and_fail(environ: Mapping[str, str] | None = None, **groups: Mapping[str, Any]) -> SettingsError:
        with pytest.raises(SettingsError) as caught:
            load(environ, **groups)
        return caught.value

    return load_and_fail
