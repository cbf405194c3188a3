"""YAML's traps, and files that cannot be read: one clear line each."""

from pathlib import Path

import pytest

from datastorage.settings import Settings, SettingsError
from tests.unit.settings.conftest import Fail, WriteConfig


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            "port: 8080",
            "port: 010000",
            "server port must be a whole number without leading zeros, got: 010000",
        ),
        ("port: 8080", "port: 0x1F90", "server port must be a whole number, got: 0x1F90"),
        ("port: 8080", "port: 2:14:40", "server port must be a whole number, got: 2:14:40"),
        ("port: 8080", "port: 8_080", "server port must be a whole number, got: 8_080"),
    ],
)
def test_number_that_yaml_would_read_as_another_one_is_refused(
    write_config: WriteConfig, old: str, new: str, text: str
) -> None:
    path = write_config()
    path.write_text(path.read_text().replace(old, new))

    with pytest.raises(SettingsError) as caught:
        Settings.load(path, {})

    assert caught.value.problems == (text,)


@pytest.mark.parametrize("again", ["server:\n  port: 8181\n", "logging:\n  level: info\n  level: debug\n"])
def test_key_that_is_there_twice_is_refused(write_config: WriteConfig, again: str) -> None:
    path = write_config()
    before = path.read_text()
    path.write_text(before + again)
    name = "server" if again.startswith("server") else "level"
    line = len(before.splitlines()) + (1 if name == "server" else 3)

    with pytest.raises(SettingsError) as caught:
        Settings.load(path, {})

    assert caught.value.message == "Failed to load configuration file"
    [problem] = caught.value.problems
    assert problem.startswith(
        f"failed to parse config: {path} has the key {name} twice (line {line}, column "
    )


def test_password_that_is_there_twice_is_refused_without_showing_it(fail: Fail, tmp_path: Path) -> None:
    secrets = tmp_path / "twice.yaml"
    secrets.write_text("password: hidden-word\npassword: hidden-word\n")

    error = fail(database={"secretsFile": str(secrets)})

    assert error.problems == (
        f"database secretsFile {secrets} has the key password twice (line 2, column 1)",
    )


def test_merge_keys_of_yaml_still_merge(write_config: WriteConfig) -> None:
    path = write_config()
    path.write_text(
        f"x: &level {{level: debug}}\nlogging:\n  <<: *level\n  format: console\n{path.read_text()}"
    )

    settings = Settings.load(path, {})

    assert (settings.logging.level, settings.logging.format) == ("debug", "console")


def test_folder_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"failed to read config file .*: Is a directory"):
        Settings.load(tmp_path, {})
